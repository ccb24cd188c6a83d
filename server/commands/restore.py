"""`restore`: replaces the database with a backup. The old database is kept until everything has succeeded."""

import shutil
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from server.commands import postgres_restore, sqlite_restore
from server.commands.backup import STANDARD
from server.commands.output import print_message
from server.commands.sqlite_copy import MAGIC
from server.machine.file_locks import try_lock
from server.machine.own_command import command_line
from server.settings import INDEX_LOCK_FILE, Settings, SettingsError
from server.storage import data_folder

LOCKS = ("server.lock", INDEX_LOCK_FILE)
"""A running server locks at least one of these files in its data folder."""

POSTGRES_MAGIC = b"PGDMP"


def restore(settings: Settings, args: Namespace) -> None:
    """Replace the database with the backup, or change nothing. Raises SettingsError."""
    is_piped = args.file == STANDARD
    name = "standard input" if is_piped else args.file
    beginning = sys.stdin.buffer.read(len(MAGIC)) if is_piped else _beginning_of(args.file)
    _require_backup(beginning, name, settings.is_sqlite)
    with ExitStack() as stack:
        stack.enter_context(_no_server(settings))
        file = stack.enter_context(_standard_input(settings, beginning)) if is_piped else Path(args.file)
        put_back = sqlite_restore.restore if settings.is_sqlite else postgres_restore.restore
        for message in put_back(settings, file, name):
            print_message(message)
    print_message("API keys, sessions and members that were removed since the backup are back: remove them again.")


@contextmanager
def _no_server(settings: Settings) -> Iterator[None]:
    """Keep servers from starting in this data folder. Raises SettingsError if one runs.

    It removes the locks, and an empty folder, that it creates.
    """
    with ExitStack() as locks:
        if not settings.data_dir.exists():
            locks.callback(_remove_if_empty, settings.data_dir)
        data_folder.require_writable(settings.data_dir)
        for name in LOCKS:
            path = settings.data_dir / name
            is_new = not path.exists()
            lock = locks.enter_context(path.open("a"))  # an owner's name in the file must stay
            if is_new:
                locks.callback(path.unlink)
            if not try_lock(lock):
                raise SettingsError(
                    f"a server or a reindex uses the data folder {settings.data_dir.absolute()}: stop it, then restore"
                )
        yield


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


@contextmanager
def _standard_input(settings: Settings, beginning: bytes) -> Iterator[Path]:
    """Yield a temporary file that holds standard input, of which the beginning has been read. Raises SettingsError."""
    with tempfile.TemporaryDirectory(prefix="restore-", dir=settings.data_dir) as folder:
        file = Path(folder) / "backup"
        file.touch(0o600)
        try:
            with file.open("wb") as copy:
                copy.write(beginning)
                shutil.copyfileobj(sys.stdin.buffer, copy)
        except OSError as error:
            raise SettingsError(data_folder.refusal(settings.data_dir, error)) from None
        yield file


def _beginning_of(file: str) -> bytes:
    try:
        with open(file, "rb") as opened:
            return opened.read(len(MAGIC))
    except OSError as error:
        raise SettingsError(f"cannot read the backup {file}: {error.strerror}") from None


def _require_backup(beginning: bytes, name: str, for_sqlite: bool) -> None:
    """Raises SettingsError unless the file begins as a backup of this kind of database does."""
    is_sqlite, is_postgres = beginning == MAGIC, beginning.startswith(POSTGRES_MAGIC)
    if not (is_sqlite or is_postgres):
        raise SettingsError(f"{name} is not a backup: restore reads what {command_line('backup')} wrote")
    if is_sqlite != for_sqlite:
        of, other = ("SQLite", "Postgres") if is_sqlite else ("Postgres", "SQLite")
        raise SettingsError(
            f"{name} is a backup of {of}, and SELFMEMORY_DATABASE_URL is {other}: restore it with {of}, then "
            "export each project and import it there"
        )
