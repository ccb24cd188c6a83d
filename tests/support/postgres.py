"""A Postgres for the tests: the server that TEST_POSTGRES_URL names, or an own one that ends with them."""

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

import sqlalchemy as sa

from server.database import migrate

VARIABLE = "TEST_POSTGRES_URL"
# Nothing here outlives the tests, so nothing has to survive a power cut.
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=300")
USER = "postgres" if os.geteuid() == 0 else None  # root is refused


def binaries() -> Path | None:
    """The folder of the newest installed `postgres` and `initdb`."""
    on_path = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    candidates = [*([Path(on_path).resolve().parent] if on_path else []), *folders]
    return next((folder for folder in reversed(candidates) if (folder / "postgres").exists()), None)


def is_available() -> bool:
    return VARIABLE in os.environ or binaries() is not None


class Databases:
    """Fresh databases in one server: each is a copy of a template that was migrated once."""

    def __init__(self, server: sa.URL) -> None:
        self._url = server
        self._server = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        self._template = self.make_empty()
        migrate(self._template)

    def make(self) -> str:
        """The URL of a new database with the newest schema and nothing in it."""
        return self._create(f"TEMPLATE {sa.make_url(self._template).database}")

    def make_empty(self) -> str:
        """The URL of a new database without any table."""
        return self._create("")

    def drop(self, url: str) -> None:
        self._say(f"DROP DATABASE {sa.make_url(url).database} WITH (FORCE)")

    def close(self) -> None:
        self.drop(self._template)
        self._server.dispose()

    def _create(self, how: str) -> str:
        name = f"test_{secrets.token_hex(6)}"
        self._say(f"CREATE DATABASE {name} {how}")
        return self._url.set(database=name).render_as_string(hide_password=False)

    def _say(self, statement: str) -> None:
        with self._server.connect() as connection:
            connection.exec_driver_sql(statement)


@contextlib.contextmanager
def running_postgres() -> Iterator[sa.URL]:
    """A server: the given one, or one started here on loopback and ended by its own process id."""
    if VARIABLE in os.environ:
        yield sa.make_url(os.environ[VARIABLE])
        return
    programs = binaries()
    if programs is None:
        raise FileNotFoundError("there is no Postgres on this machine")
    with tempfile.TemporaryDirectory(prefix="postgres-", dir="/tmp") as folder:
        if USER:
            shutil.chown(folder, USER)
        data, port = Path(folder) / "data", _free_port()
        command: list[str | Path] = [
            programs / "initdb",
            "-D",
            data,
            "-A",
            "trust",
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "--no-sync",
        ]
        subprocess.run(command, user=USER, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        with _started(programs / "postgres", data, port):
            yield sa.URL.create("postgresql+psycopg", "postgres", None, "127.0.0.1", port, "postgres")


@contextlib.contextmanager
def _started(program: Path, data: Path, port: int) -> Iterator[None]:
    chosen = ("listen_addresses=127.0.0.1", "unix_socket_directories=", f"port={port}", *FAST)
    command: list[str | Path] = [program, "-D", data, *(part for option in chosen for part in ("-c", option))]
    with subprocess.Popen(command, user=USER, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        if not any("ready to accept connections" in line for line in process.stderr):
            raise RuntimeError("Postgres did not start")
        reader = threading.Thread(target=process.stderr.read)  # or a full pipe would halt the server
        reader.start()
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)  # its "fast" way to stop
            reader.join()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
