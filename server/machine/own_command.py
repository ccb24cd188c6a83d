"""Names the commands of this program as people have to type them here."""

import contextlib
import shlex
import sys
from pathlib import Path

SCRIPT = "selfmemory-server"
"""The program that pip installs."""


def command_line(*arguments: str) -> str:
    """Return a command for the person who runs one here, with the Python that runs it."""
    return shlex.join([sys.orig_argv[0], "-m", "server", *arguments])


def shown_command(*arguments: str) -> str:
    """Return a command for a page, which strangers may see too: of folders, it names only those below the one in which
    the server was started, because people type commands there.
    """
    if Path(sys.argv[0]).name == SCRIPT:
        return shlex.join([_shown(sys.argv[0]), *arguments])
    return shlex.join([_shown(sys.orig_argv[0]), "-m", "server", *arguments])


def _shown(program: str) -> str:
    with contextlib.suppress(FileNotFoundError):  # the folder was deleted
        here = Path.cwd()
        path = here / program  # a worker process has the whole path
        if ".." not in path.parts and path.is_relative_to(here):
            return str(path.relative_to(here))
    return Path(program).name
