"""Writes what the commands print."""

import shlex
import shutil
import sys
from typing import IO


def command_line(*arguments: str) -> str:
    """Return a command of this program as people have to type it here, with the Python that runs it."""
    return shlex.join([sys.orig_argv[0], "-m", "server", *arguments])


def print_result(result: str) -> None:
    """Print one result line to standard output."""
    print(result)  # noqa: T201 - this is what the command is for


def write_result(file: IO[bytes]) -> None:
    """Copy a file to standard output."""
    shutil.copyfileobj(file, sys.stdout.buffer)


def print_message(text: str) -> None:
    """Print a message for a person to standard error."""
    print(text, file=sys.stderr)  # noqa: T201 - the command line talks to people here
