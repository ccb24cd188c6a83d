"""Copies a Postgres database with `pg_dump`, in its custom format. Other programs' tables are left out."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa

from server.models import metadata
from server.settings import Settings, SettingsError
from server.storage.database import Database

OUR_TABLES = frozenset({*metadata.tables, "memory_words", "alembic_version", "oauth_parked_requests"})
"""The list includes tables of earlier versions, because the backup may be older than this version."""
_FORMAT = "--format=custom"
_PARTITIONS = sa.text(
    "SELECT part.relname FROM pg_inherits JOIN pg_class AS part ON part.oid = inhrelid "
    "WHERE inhparent::regclass::text = ANY(:tables)"
)


def copy(settings: Settings, file: Path) -> None:
    """Write a consistent copy of the database into `file`, while others write. Raises SettingsError."""
    url = settings.database_url.get_secret_value()
    with closing(Database(url, connections=1)) as database, database.read() as session:
        connection = session.connection()
        ours = our_tables(connection)
        others = set(sa.inspect(connection).get_table_names()).difference(ours, _partitions(connection, ours))
        schema = session.scalar(sa.func.current_schema())
        program = find_program("pg_dump", connection)
    if "alembic_version" not in ours:
        raise SettingsError("the database has no tables of this server yet, so there is nothing to back up")
    with address(url) as dbname:
        # The names are patterns. Quotation marks make every character literal.
        left_out = [f'--exclude-table="{table}"' for table in sorted(others)]
        run([program, _FORMAT, f'--schema="{schema}"', *left_out, f"--file={file}", f"--dbname={dbname}"])


def our_tables(connection: sa.Connection) -> list[str]:
    """Return the tables of this server that exist."""
    return sorted(OUR_TABLES.intersection(sa.inspect(connection).get_table_names()))


def _partitions(connection: sa.Connection, tables: list[str]) -> Sequence[str]:
    """Return the names of the parts that these tables consist of, if somebody has partitioned them."""
    return connection.execute(_PARTITIONS, {"tables": tables}).scalars().all()


def find_program(name: str, connection: sa.Connection) -> str:
    """Return the path of a PostgreSQL client program that is at least as new as the database server.

    Raises SettingsError.
    """
    needed = int(connection.scalar(sa.text("SELECT current_setting('server_version_num')")) or 0) // 10000
    advice = f"install the client programs of PostgreSQL {needed} or newer here, or run {name} where they are installed"
    path = shutil.which(name)
    if path is None:
        raise SettingsError(f"{name} is not installed here: {advice}")
    output = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603 - our own arguments
    version = re.search(r"\d+", output)
    if version is None or int(version[0]) < needed:
        raise SettingsError(f"{name} here is from PostgreSQL {version[0] if version else '?'}: {advice}")
    return path


@contextmanager
def address(url: str) -> Iterator[str]:
    """Yield the database's address for a program's command line, without the password, because others can read it.
    Until the block ends, the password is in a private file.
    """
    parts = sa.make_url(url).set(drivername="postgresql")
    if parts.password is None:
        yield parts.render_as_string()
        return
    with tempfile.NamedTemporaryFile("w", prefix="selfmemory-", encoding="utf-8") as file:  # mode 0600
        escaped = re.sub(r"([\\:])", r"\\\1", parts.password)
        file.write(f"*:*:*:*:{escaped}\n")
        file.flush()
        bare = parts._replace(password=None)  # `set` takes None for no change
        yield bare.update_query_dict({"passfile": file.name}).render_as_string()


def run(command: list[str]) -> str:
    """Run a Postgres program and return its output. Raises SettingsError with the first line of its error message."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own arguments
    if done.returncode:
        raise SettingsError(complaint(Path(command[0]).name, done.stderr or f"killed by signal ({-done.returncode})"))
    return done.stdout


def complaint(program: str, stderr: str) -> str:
    """Return one line of the error messages that a program wrote."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    worst = next((line for line in lines if re.search(r"error:|ERROR:|FATAL:", line)), lines[0] if lines else "")
    return f"{program} failed: {worst.removeprefix(f'{program}: ').removeprefix('error: ') or 'it gave no reason'}"
