"""Where the commands write."""

import sys


def print_result(result: str) -> None:
    """Print one result line to standard output."""
    print(result)  # noqa: T201 - this is what the command is for


def print_message(text: str) -> None:
    """Print a message for a person to standard error."""
    print(text, file=sys.stderr)  # noqa: T201 - the command line talks to people here
