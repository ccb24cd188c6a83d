"""Writes what the commands print."""

import io
import os
import shutil
import sys
from typing import IO


def print_result(result: str) -> None:
    """Print one result line to standard output."""
    print(result)  # noqa: T201 - this is what the command is for


def write_result(file: IO[bytes]) -> None:
    """Copy a file to standard output."""
    shutil.copyfileobj(file, sys.stdout.buffer)


def print_message(text: str) -> None:
    """Print a message for a person to standard error."""
    print(text, file=sys.stderr)  # noqa: T201 - the command line talks to people here


def replace_closed_streams() -> None:
    """Open /dev/null for each standard stream that the caller has closed. Call it before any other file is opened,
    which would get the number of the stream.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - it stays open


def configure_output() -> None:
    """Let standard output escape the characters that its encoding lacks, as standard error does: a terminal may be set
    to ASCII or Latin-1. Let it write each line at once, also to a file or pipe: a line that cannot be written is then
    reported before the command says or does anything else.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)
