"""`backup`: writes a complete, consistent copy of the database to one private file, even while the server runs."""

import os
import signal
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa

from server.commands import postgres_copy, sqlite_copy
from server.commands.output import print_message, write_result
from server.index.upkeep import removal
from server.index.words.backend import word_index_of
from server.settings import SECRET_KEY_FILE, Settings, SettingsError, make_private
from server.storage.database import Database

STANDARD = "-"
"""This file name means standard output or input, for example with `docker compose exec`."""


def backup(settings: Settings, args: Namespace) -> None:
    """Write the file, or nothing. Raises SettingsError."""
    sqlite_copy.require_database(settings)
    with _leaving_nothing_behind():
        if args.file == STANDARD:
            _write_to_standard_output(settings)
        else:
            with _new_file(Path(args.file)) as file:
                _copy(settings, file)
                size = file.stat().st_size
            print_message(f"Backed up to {args.file} ({size / 1e6:,.1f} MB). Keep it as safe as the data folder.")
    for advice in _also_keep(settings):
        print_message(advice)


def _copy(settings: Settings, file: Path) -> None:
    with suppress(sa.exc.DBAPIError):  # the copy reports what is wrong with the database
        _remove_deleted(settings.database_url.get_secret_value())
    (sqlite_copy.copy if settings.is_sqlite else postgres_copy.copy)(settings, file)


def _remove_deleted(url: str) -> None:
    """Remove the remaining data of deleted projects, so that it is not in the copy."""
    with closing(Database(url, connections=1)) as database:
        if sa.inspect(database.engine).has_table("projects") and removal.remove_all(database):
            word_index_of(database).purge(database)


def _write_to_standard_output(settings: Settings) -> None:
    if sys.stdout.isatty():
        raise SettingsError("standard output is a terminal: write backup - > FILE, or backup FILE")
    make_private(settings.data_dir)
    with tempfile.TemporaryDirectory(prefix="backup-", dir=settings.data_dir) as folder:
        file = Path(folder) / "copy"
        file.touch(0o600)
        _copy(settings, file)
        with file.open("rb") as copy:
            write_result(copy)


@contextmanager
def _new_file(file: Path) -> Iterator[Path]:
    """Yield an empty, private file, which gets its final name at the end. After a failure, no file is left. Raises
    SettingsError if the name is taken, or if the folder is not writable.
    """
    if os.path.lexists(file):
        raise SettingsError(f"{file} exists and is not overwritten: choose another name, or delete it")
    try:
        descriptor, partial = tempfile.mkstemp(prefix=".backup-", dir=file.parent)  # mode 0600
    except FileNotFoundError:
        raise SettingsError(f"There is no folder {file.parent}.") from None
    except OSError as error:
        folder = file.parent.absolute()
        raise SettingsError(
            f"cannot write to the folder {folder} as user {os.geteuid()}: {error.strerror}: choose another folder"
        ) from None
    os.close(descriptor)
    try:
        yield Path(partial)
        _name(Path(partial), file)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(partial)


def _name(partial: Path, file: Path) -> None:
    """Flush the file to disk and give it its final name. Raises SettingsError if the name is now taken."""
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    try:
        os.link(partial, file)
    except FileExistsError:
        raise SettingsError(f"{file} exists and is not overwritten: choose another name, or delete it") from None
    except OSError:  # a file system without hard links, as on many USB sticks
        partial.rename(file)


@contextmanager
def _leaving_nothing_behind() -> Iterator[None]:
    """Make SIGTERM end the command like an exception, so that a partial file is removed."""
    before = signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _also_keep(settings: Settings) -> Iterator[str]:
    """Yield a sentence about the secret key, which another machine needs, if the backup does not contain it."""
    key = settings.data_dir.absolute() / SECRET_KEY_FILE
    if settings.secret_key.get_secret_value():
        yield "Keep SELFMEMORY_SECRET_KEY too: it is not in the backup, and authenticator apps need it."
    elif not settings.is_sqlite and key.exists():
        yield f"Keep {key} too: it is not in the backup, and authenticator apps need it."
