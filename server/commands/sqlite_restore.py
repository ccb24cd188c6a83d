"""Restores a SQLite database: prepares a new file next to the old one, then swaps them in one step."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from server.commands import renewal
from server.commands.sqlite_copy import KeyOfCopy, database_file, schema_of, take_key
from server.network.urls import sqlite_url
from server.sealing import key_id
from server.settings import SECRET_KEY_FILE, Settings, SettingsError, make_private
from server.storage.database import migrated, require_known_schema

ASIDE = ".before-restore-"
"""The old database is renamed: this suffix and the time are added to its name."""

PREPARED = ".restore-"
"""The prefix of the folder in which the new database is prepared."""

COMPANIONS = ("-wal", "-shm", "-journal")


def restore(settings: Settings, backup: Path, name: str) -> Iterator[str]:
    """Restore, then yield messages for the operator. Raises SettingsError without changing anything."""
    target = database_file(settings)
    if target.exists() and os.path.samefile(backup, target):
        raise SettingsError(f"{name} is the database itself, not a backup of it")
    suffix = f"{ASIDE}{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    with _alone_with(target) as installation, _beside(target) as new:
        key = _prepare(settings, backup, name, new, installation)
        messages = list(_put_key(settings, key, suffix))
        is_kept = _swap(new, target, suffix)
    shutil.rmtree(settings.data_dir / "chroma", ignore_errors=True)  # no project uses its collections now
    yield f"Restored {name}. Now start the server. It rebuilds the index of large projects in the background."
    if is_kept:
        yield (
            f"What was added since the backup is only in the previous database, {target}{suffix}: "
            "delete it when you no longer need it."
        )
    yield from messages


@contextmanager
def _alone_with(target: Path) -> Iterator[str | None]:
    """Lock the old database and move all its data into one file. Yield its installation's id, or None if there is no
    usable database. Raises SettingsError if another program has it open.
    """
    if not target.exists():
        yield None
        return
    with closing(sqlite3.connect(target, timeout=0, isolation_level=None)) as connection:
        try:
            for statement in ("PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=DELETE", "BEGIN EXCLUSIVE"):
                connection.execute(statement)
            row = connection.execute("SELECT id FROM installation").fetchone()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise SettingsError(
                    f"another program has the database {target} open: stop all servers and commands, then restore"
                ) from None
            row = None  # it is damaged, which is a reason to restore, or from an early version
        yield row[0] if row else None


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Yield the path for a new database on the same disk, so that it can replace the old one in one step."""
    make_private(target.parent)
    for left_behind in target.parent.glob(f"{PREPARED}*"):  # left behind by a restore that was killed
        shutil.rmtree(left_behind, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=PREPARED, dir=target.parent) as folder:
        yield Path(folder) / target.name


def _prepare(settings: Settings, backup: Path, name: str, new: Path, installation: str | None) -> KeyOfCopy | None:
    """Create the new database from the backup. Return the key in the backup, if there is one."""
    shutil.copyfile(backup, new)
    with suppress(FileNotFoundError):  # a copied file may have its log next to it
        shutil.copyfile(f"{backup}-wal", f"{new}-wal")
    require_known_schema(schema_of(new, name), f"the backup {name}", "use another backup; nothing was changed")
    key = take_key(new)
    with migrated(sqlite_url(new), connections=1) as database:
        renewal.renew(database, installation)
    with closing(sqlite3.connect(new)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")  # leaves one file, which can be moved
    old = database_file(settings)
    owner = (old if old.exists() else old.parent).stat()
    new.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(new, owner.st_uid, owner.st_gid)
    return key


def _swap(new: Path, target: Path, suffix: str) -> bool:
    """Replace the old database with the new one. Return whether there was an old one, which is kept."""
    is_kept = target.exists()
    for companion in COMPANIONS:  # the logs of a damaged or deleted database; SQLite would apply them to the new one
        if Path(f"{target}{companion}").exists():
            os.rename(f"{target}{companion}", f"{target}{suffix}{companion}")
    if is_kept:
        _keep(target, suffix)
    os.replace(new, target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return is_kept


def _keep(file: Path, suffix: str) -> None:
    """Give the file a second name (a hard link), so that a file with the first name exists at all times."""
    try:
        os.link(file, f"{file}{suffix}")
    except OSError:  # a file system without hard links
        os.rename(file, f"{file}{suffix}")


def _put_key(settings: Settings, key: KeyOfCopy | None, suffix: str) -> Iterator[str]:
    """Put the backup's key into the data folder. Yield messages about it."""
    key_file = settings.data_dir / SECRET_KEY_FILE
    if settings.secret_key.get_secret_value() or key is None or key.value is None:
        if key is not None and key.name != _name_of_present_key(settings):
            yield (
                "This server's secret key differs from the backed-up one, which authenticator apps and queued emails "
                "need. Set SELFMEMORY_SECRET_KEY to the backed-up key, or people have to sign in with "
                "recovery codes."
            )
        return
    if key_file.exists():
        if key_file.read_text("ascii").strip() == key.value:
            return
        _keep(key_file, suffix)
        yield f"The previous secret key is {key_file}{suffix}."
    with tempfile.NamedTemporaryFile("w", dir=settings.data_dir, encoding="ascii", delete=False) as file:  # mode 0600
        file.write(key.value)
    os.replace(file.name, key_file)


def _name_of_present_key(settings: Settings) -> str | None:
    """Return the name of this server's key, or None if the key does not exist yet."""
    if not settings.secret_key.get_secret_value() and not (settings.data_dir / SECRET_KEY_FILE).exists():
        return None
    return key_id(settings)
