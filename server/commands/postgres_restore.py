"""Restores a Postgres database: one transaction drops the tables of this server and makes those of the backup."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import sqlalchemy as sa

from server.commands import renewal
from server.commands.postgres_copy import address, complaint, find_program, our_tables, run
from server.database import MIGRATION_LOCK, Database, migrated, require_known_schema
from server.index.upkeep.owner_lock import ADVISORY_LOCK
from server.settings import Settings, SettingsError

HEAD_BYTES = 65_536
"""The settings with which a script begins are within this many bytes."""

UNKNOWN_TO_EARLIER = b"SET transaction_timeout = 0;\n"
"""A setting that the programs of Postgres 17 write, and that earlier servers refuse."""

_VERSION = re.compile(r"^COPY \S*alembic_version .*\n(\w+)$", re.MULTILINE)
_NOT_RESTORED = re.compile(r"\d+; \d+ \d+ (COMMENT - )?(EXTENSION|SCHEMA|ACL|DEFAULT ACL)\b")
_TEXT_SEARCHES = sa.text(
    "SELECT 'CONFIGURATION', cfgname FROM pg_ts_config WHERE cfgnamespace::regnamespace::text = current_schema() "
    "AND cfgname LIKE 'memory%' UNION ALL "
    "SELECT 'DICTIONARY', dictname FROM pg_ts_dict WHERE dictnamespace::regnamespace::text = current_schema() "
    "AND dictname LIKE 'memory%'"
)
_OTHERS = sa.text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND coalesce(backend_type, 'client backend') = 'client backend'"
)


def restore(settings: Settings, backup: Path, name: str) -> Iterator[str]:
    """Yield what to tell once it is done. Raises SettingsError, and then everything is as before."""
    url = settings.database_url.get_secret_value()
    with _alone(url) as (connection, installation):
        reader, writer = find_program("pg_restore", connection), find_program("psql", connection)
        version, wanted = _schema_of(reader, backup, name), _wanted(reader, backup)
        require_known_schema(version, f"the backup {name}", "use another backup; nothing was changed")
        with address(url) as dbname, tempfile.NamedTemporaryFile("w") as chosen:
            chosen.write(wanted)
            chosen.flush()
            options = ["--no-owner", "--no-privileges", f"--use-list={chosen.name}", "--file=-"]
            _replace([reader, *options, str(backup)], [writer, dbname], _drops(connection))
    with migrated(url) as database:
        renewal.renew(database, installation)
    shutil.rmtree(settings.data_dir / "chroma", ignore_errors=True)  # no project uses its collections any more
    yield f"Restored {name}. Now start the servers, which build the index of large projects in the background."


@contextmanager
def _alone(url: str) -> Iterator[tuple[sa.Connection, str | None]]:
    """Keep servers from starting. Yield a connection, and the id of the present installation if there is one.

    Raises SettingsError if another program is connected, or if the present database is of a newer version.
    """
    database = Database(url, connections=1)
    try:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for lock in (MIGRATION_LOCK, ADVISORY_LOCK):
                if not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(lock))):
                    raise SettingsError("a server uses the database: stop all servers and commands, then restore")
            if others := connection.scalar(_OTHERS):
                raise SettingsError(
                    f"other programs are connected to the database ({others}): stop all servers, commands and "
                    "poolers, then restore"
                )
            tables = our_tables(connection)
            if "alembic_version" in tables:
                present = str(connection.scalar(sa.text("SELECT version_num FROM alembic_version")))
                require_known_schema(present, "the present database", "restore into an empty database")
            has_id = "installation" in tables
            yield connection, connection.scalar(sa.text("SELECT id FROM installation")) if has_id else None
    finally:
        database.close()


def _schema_of(program: str, backup: Path, name: str) -> str:
    """Return the schema of a backup of ours. Raises SettingsError."""
    try:
        said = run([program, "--data-only", "--table=alembic_version", "--file=-", str(backup)])
    except SettingsError as error:
        raise SettingsError(f"{name} is damaged: use another backup; nothing was changed ({error})") from None
    found = _VERSION.search(said)
    if found is None:
        raise SettingsError(f"{name} is a database of another program, not a backup of this server")
    return found[1]


def _wanted(program: str, backup: Path) -> str:
    """Return the list of what is restored: all but what a database has already, and only its owner may touch."""
    listed = run([program, "--list", str(backup)]).splitlines()
    return "".join(f"{line}\n" for line in listed if not _NOT_RESTORED.match(line))


def _drops(connection: sa.Connection) -> str:
    """Return the statements that drop what this server made in the database."""
    tables = [f'DROP TABLE "{table}" CASCADE;' for table in our_tables(connection)]
    searches = [f'DROP TEXT SEARCH {kind} "{name}" CASCADE;' for kind, name in connection.execute(_TEXT_SEARCHES)]
    trigger = "DROP FUNCTION IF EXISTS memories_forget_versions CASCADE;"  # of a database with partitions
    return "\n".join([*tables, *searches, trigger, "CREATE EXTENSION IF NOT EXISTS btree_gin;", ""])


def _replace(read: list[str], write: list[str], drops: str) -> None:
    """Run the script that `read` prints in one transaction of `write`. Raises SettingsError, and changes nothing.

    The end of the script alone commits nothing, because `read` also ends when it fails.
    """
    with tempfile.TemporaryFile() as errors:
        reader = subprocess.Popen(read, stdout=subprocess.PIPE, stderr=errors)  # noqa: S603 - our own arguments
        writer = subprocess.Popen(  # noqa: S603 - the same
            [write[0], "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={write[1]}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        with reader, writer:
            assert reader.stdout is not None  # noqa: S101 - it is a pipe
            assert writer.stdin is not None  # noqa: S101 - the same
            try:
                _pump(reader.stdout, writer.stdin, drops)
                if reader.wait() == 0:
                    writer.stdin.write(b"COMMIT;\n")
                writer.stdin.close()
            except BrokenPipeError:  # the writer has failed and says why
                reader.kill()
        if reader.returncode or writer.returncode:
            errors.seek(0)
            said = complaint(
                "psql" if reader.returncode <= 0 else "pg_restore", errors.read().decode("utf-8", "replace")
            )
            raise SettingsError(f"the backup is damaged or does not fit this server; nothing was changed: {said}")


def _pump(script: IO[bytes], into: IO[bytes], drops: str) -> None:
    into.write(f"BEGIN;\n{drops}".encode())
    into.write(script.read(HEAD_BYTES).replace(UNKNOWN_TO_EARLIER, b""))
    shutil.copyfileobj(script, into)
