"""`restore`: replaces the database with a backup. The old database is kept until everything has succeeded."""

import fcntl
import shutil
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from server import data_folder
from server.commands import postgres_restore, sqlite_restore
from server.commands.backup import STANDARD
from server.commands.output import print_message
from server.commands.sqlite_copy import MAGIC
from server.settings import Settings, SettingsError

LOCKS = ("server.lock", "index.lock")
"""A running server locks at least one of these files in its data folder."""

POSTGRES_MAGIC = b"PGDMP"


def restore(settings: Settings, args: Namespace) -> None:
    """Replace the database with the backup, or change nothing. Raises SettingsError."""
    data_folder.require_writable(settings.data_dir)
    with ExitStack() as stack:
        stack.enter_context(_no_server(settings))
        file = Path(args.file) if args.file != STANDARD else stack.enter_context(_standard_input(settings))
        name = args.file if args.file != STANDARD else "standard input"
        _require_backup(file, name, settings.is_sqlite)
        put_back = sqlite_restore.restore if settings.is_sqlite else postgres_restore.restore
        for message in put_back(settings, file, name):
            print_message(message)
    print_message("API keys, sessions and members that were removed since the backup are back: remove them again.")


@contextmanager
def _no_server(settings: Settings) -> Iterator[None]:
    """Keep servers from starting in this data folder. Raises SettingsError if one runs."""
    with ExitStack() as locks:
        for name in LOCKS:
            lock = locks.enter_context((settings.data_dir / name).open("w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SettingsError(
                    f"a server or a reindex uses the data folder {settings.data_dir.absolute()}: stop it, then restore"
                ) from None
        yield


@contextmanager
def _standard_input(settings: Settings) -> Iterator[Path]:
    """Yield a temporary file that holds standard input."""
    with tempfile.TemporaryDirectory(prefix="restore-", dir=settings.data_dir) as folder:
        file = Path(folder) / "backup"
        file.touch(0o600)
        with file.open("wb") as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
        yield file


def _require_backup(file: Path, name: str, for_sqlite: bool) -> None:
    """Raises SettingsError unless the file begins as a backup of this kind of database does."""
    try:
        with file.open("rb") as opened:
            begins = opened.read(len(MAGIC))
    except OSError as error:
        raise SettingsError(f"cannot read the backup {name}: {error.strerror}") from None
    is_sqlite, is_postgres = begins == MAGIC, begins.startswith(POSTGRES_MAGIC)
    if not (is_sqlite or is_postgres):
        raise SettingsError(f"{name} is not a backup: restore reads what python -m server backup wrote")
    if is_sqlite != for_sqlite:
        of, other = ("SQLite", "Postgres") if is_sqlite else ("Postgres", "SQLite")
        raise SettingsError(
            f"{name} is a backup of {of}, and SELFMEMORY_DATABASE_URL is {other}: restore it with {of}, then "
            "export each project and import it there"
        )
