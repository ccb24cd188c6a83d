"""Restores a Postgres database: one transaction drops this server's tables and creates those of the backup."""

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
from server.settings import Settings, SettingsError
from server.storage.database import MIGRATION_LOCK, Database, migrated, require_known_schema

HEAD_BYTES = 65_536
"""The settings at the beginning of a script are within this many bytes."""

UNKNOWN_TO_EARLIER = b"SET transaction_timeout = 0;\n"
"""A setting that the tools of Postgres 17 write, and that earlier servers reject."""

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
    """Restore, then yield messages for the operator. Raises SettingsError without changing anything."""
    url = settings.database_url.get_secret_value()
    with _alone(url) as (connection, installation):
        reader, writer = find_program("pg_restore", connection), find_program("psql", connection)
        version, listing = _schema_of(reader, backup, name), _restore_list(reader, backup)
        require_known_schema(version, f"the backup {name}", "use another backup; nothing was changed")
        with address(url) as dbname, tempfile.NamedTemporaryFile("w") as chosen:
            chosen.write(listing)
            chosen.flush()
            options = ["--no-owner", "--no-privileges", f"--use-list={chosen.name}", "--file=-"]
            _replace([reader, *options, str(backup)], [writer, dbname], _drops(connection))
    with migrated(url) as database:
        renewal.renew(database, installation)
    shutil.rmtree(settings.data_dir / "chroma", ignore_errors=True)  # no project uses its collections now
    yield f"Restored {name}. Now start the servers. They rebuild the index of large projects in the background."
    yield "What was added since the backup is gone."


@contextmanager
def _alone(url: str) -> Iterator[tuple[sa.Connection, str | None]]:
    """Keep servers from starting. Yield a connection, and the id of the current installation if there is one. Raises
    SettingsError if another program is connected, or if the current database is from a newer version.
    """
    database = Database(url, connections=1)
    try:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(MIGRATION_LOCK))):
                raise SettingsError(
                    "a server is starting on this database: stop all servers and commands, then restore"
                )
            if others := connection.scalar(_OTHERS):
                raise SettingsError(
                    f"other programs are connected to the database ({others}): stop all servers, commands and "
                    "poolers, then restore"
                )
            tables = our_tables(connection)
            if "alembic_version" in tables:
                present = str(connection.scalar(sa.text("SELECT version_num FROM alembic_version")))
                require_known_schema(present, "the current database", "restore into an empty database")
            has_id = "installation" in tables
            yield connection, connection.scalar(sa.text("SELECT id FROM installation")) if has_id else None
    finally:
        database.close()


def _schema_of(program: str, backup: Path, name: str) -> str:
    """Return the schema of a backup that this server made. Raises SettingsError."""
    try:
        script = run([program, "--data-only", "--table=alembic_version", "--file=-", str(backup)])
    except SettingsError as error:
        raise SettingsError(f"{name} is damaged: use another backup; nothing was changed ({error})") from None
    match = _VERSION.search(script)
    if match is None:
        raise SettingsError(f"{name} is another program's database, not a backup of this server")
    return match[1]


def _restore_list(program: str, backup: Path) -> str:
    """Return the list of objects to restore: all except those that every database has and only its owner may change."""
    listed = run([program, "--list", str(backup)]).splitlines()
    return "".join(f"{line}\n" for line in listed if not _NOT_RESTORED.match(line))


def _drops(connection: sa.Connection) -> str:
    """Return the statements that drop everything this server created in the database."""
    tables = [f'DROP TABLE "{table}" CASCADE;' for table in our_tables(connection)]
    searches = [f'DROP TEXT SEARCH {kind} "{name}" CASCADE;' for kind, name in connection.execute(_TEXT_SEARCHES)]
    trigger = "DROP FUNCTION IF EXISTS memories_forget_versions CASCADE;"  # a partitioned database has these
    return "\n".join([*tables, *searches, trigger, "CREATE EXTENSION IF NOT EXISTS btree_gin;", ""])


def _replace(read: list[str], write: list[str], drops: str) -> None:
    """Run the script that the program `read` prints, in one transaction of the program `write`. Raises SettingsError
    without changing anything. Reaching the end of the script does not commit, because `read` also ends when it fails.
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
            reason = complaint(
                "psql" if reader.returncode <= 0 else "pg_restore", errors.read().decode("utf-8", "replace")
            )
            raise SettingsError(f"the backup is damaged or does not fit this server; nothing was changed: {reason}")


def _pump(script: IO[bytes], into: IO[bytes], drops: str) -> None:
    into.write(f"BEGIN;\n{drops}".encode())
    into.write(script.read(HEAD_BYTES).replace(UNKNOWN_TO_EARLIER, b""))
    shutil.copyfileobj(script, into)
