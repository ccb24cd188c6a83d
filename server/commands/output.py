"""Where the commands write."""

import io
import shutil
import sys
from typing import IO


def print_result(result: str) -> None:
    """Print one result line to standard output."""
    print(result)  # noqa: T201 - this is what the command is for


def write_result(file: IO[bytes]) -> None:
    """Copy a file of UTF-8 text to standard output, and close it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # also on a terminal with another encoding
    with io.TextIOWrapper(file, encoding="utf-8", newline="") as text:
        shutil.copyfileobj(text, sys.stdout)


def print_message(text: str) -> None:
    """Print a message for a person to standard error."""
    print(text, file=sys.stderr)  # noqa: T201 - the command line talks to people here
