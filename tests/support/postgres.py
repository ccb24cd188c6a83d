"""A Postgres server for the tests: the one in TEST_POSTGRES_URL, or a new one that is stopped afterwards."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from server.storage.database import migrate
from tests.support.prepared import fill

VARIABLE = "TEST_POSTGRES_URL"
FAST_OPTIONS = (
    *("fsync=off", "synchronous_commit=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0"),
    "max_connections=300",
)
"""The data does not have to survive a power failure, or reach another server."""

IN_MEMORY = Path("/dev/shm")
"""Copying a database there takes an eighth of the time that it takes on disk."""

ENOUGH_BYTES = 2 << 30
ON_DISK = "/tmp"
"""The user that runs Postgres must have access to this folder, and may not be our user."""

USER = "postgres" if os.geteuid() == 0 else None
"""Postgres refuses to run as root."""


def find_programs() -> Path | None:
    """Return the folder of the newest installed `postgres` and `initdb`."""
    on_path = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    candidates = [*([Path(on_path).resolve().parent] if on_path else []), *folders]
    return next((folder for folder in reversed(candidates) if (folder / "postgres").exists()), None)


def is_available() -> bool:
    return VARIABLE in os.environ or find_programs() is not None


class Databases:
    """Creates databases in one server, as copies of a template that was migrated once."""

    def __init__(self, server: sa.URL) -> None:
        self._url = server
        self._server = sa.create_engine(server, isolation_level="AUTOCOMMIT", pool_size=1, pool_pre_ping=True)
        with self._server.connect() as connection:
            version = connection.exec_driver_sql("SHOW server_version_num").scalar_one()
        self._fastest = "STRATEGY FILE_COPY" if int(version) >= 150_000 else ""  # earlier versions know no other way
        self._template = self.make_empty()
        migrate(self._template)
        self._filled: dict[tuple[str, ...], tuple[str, dict[str, Any]]] = {}

    def make(self) -> str:
        """Create an empty database with the newest schema and return its URL."""
        return self._copy(self._template)

    def _copy(self, template: str) -> str:
        return self._create(f"TEMPLATE {sa.make_url(template).database} {self._fastest}")

    def make_filled(self, names: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
        """Create a database with what the fixtures of these names find. Return its URL, and what that is by name."""
        if names not in self._filled:
            template = self.make()
            self._filled[names] = template, fill(template, names)
        template, found = self._filled[names]
        return self._copy(template), found

    def make_empty(self, options: str = "") -> str:
        """Create a database without tables and return its URL. `options` are those of CREATE DATABASE."""
        return self._create(options)

    def drop(self, url: str) -> None:
        self._execute(f"DROP DATABASE {sa.make_url(url).database} WITH (FORCE)")

    @contextlib.contextmanager
    def role(self) -> Iterator[str]:
        """Yield the name of a new role, which owns nothing."""
        name = f"role_{secrets.token_hex(6)}"
        self._execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
        try:
            yield name
        finally:
            self._execute(f"DROP ROLE {name}")

    def run(self, url: sa.URL, statement: str) -> None:
        """Run a statement in one of the databases."""
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)

    def close(self) -> None:
        for template in (self._template, *(url for url, _ in self._filled.values())):
            self.drop(template)
        self._server.dispose()

    def _create(self, options: str) -> str:
        name = f"test_{secrets.token_hex(6)}"
        self._execute(f"CREATE DATABASE {name} {options}")
        return self._url.set(database=name).render_as_string(hide_password=False)

    def _execute(self, statement: str) -> None:
        with self._server.connect() as connection:
            connection.exec_driver_sql(statement)


@contextlib.contextmanager
def running_postgres() -> Iterator[sa.URL]:
    """Yield the URL of the configured server, or of a new one on loopback that is stopped at the end."""
    if VARIABLE in os.environ:
        yield sa.make_url(os.environ[VARIABLE])
        return
    programs = find_programs()
    if programs is None:
        raise FileNotFoundError("Postgres is not installed")
    with tempfile.TemporaryDirectory(prefix="postgres-", dir=fast_folder()) as folder:
        data, port = new_cluster(programs, Path(folder)), free_port()
        with _started(programs / "postgres", data, port):
            yield sa.URL.create("postgresql+psycopg", "postgres", None, "127.0.0.1", port, "postgres")


def new_cluster(programs: Path, folder: Path) -> Path:
    """Create a Postgres server's files in the folder, and make its user the owner. Return the folder for `-D`."""
    if USER:
        shutil.chown(folder, USER)
    data = folder / "data"
    options = ["-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync"]
    command: list[str | Path] = [programs / "initdb", "-D", data, *options]
    subprocess.run(command, user=USER, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return data


def fast_folder() -> str:
    """Return a folder in memory if there is room for many databases, or else on disk."""
    if not (IN_MEMORY.is_dir() and os.access(IN_MEMORY, os.W_OK)):
        return ON_DISK
    return str(IN_MEMORY) if shutil.disk_usage(IN_MEMORY).free > ENOUGH_BYTES else ON_DISK


@contextlib.contextmanager
def _started(program: Path, data: Path, port: int) -> Iterator[None]:
    options = ("listen_addresses=127.0.0.1", "unix_socket_directories=", f"port={port}", *FAST_OPTIONS)
    command: list[str | Path] = [program, "-D", data, *(part for option in options for part in ("-c", option))]
    with subprocess.Popen(command, user=USER, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        if not any("ready to accept connections" in line for line in process.stderr):
            raise RuntimeError("Postgres did not start")
        reader = threading.Thread(target=process.stderr.read)  # a full pipe would block the server
        reader.start()
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)  # Postgres calls this a fast shutdown
            reader.join()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
