"""Where the commands' results and words go."""

import sys


def print_result(result: str) -> None:
    """A result, alone on a line of standard output."""
    print(result)  # noqa: T201 - this is what the command is for


def print_message(words: str) -> None:
    """Words for a person, on standard error."""
    print(words, file=sys.stderr)  # noqa: T201 - the command line's own voice
