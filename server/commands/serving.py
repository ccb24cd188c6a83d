"""`serve`: one process, or several workers behind one socket."""

import contextlib
import fcntl
import gc
import logging
import signal
import socket
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from typing import Literal, TypedDict

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from server.app import create_app
from server.settings import Settings, SettingsError, hand_down, make_private, read_settings, share_metrics

log = logging.getLogger(__name__)

GRACE = 10
"""Seconds that requests have to end after SIGTERM."""
PATIENCE = 60
"""Seconds that a worker may take to start, or to say that it lives."""
KEEP_ALIVE = 75
"""Seconds that an idle connection stays, longer than clients keep one: so it is they who close it."""


class Options(TypedDict):
    """What one process and each worker are told alike."""

    lifespan: Literal["on"]
    ws: Literal["none"]
    log_config: None
    access_log: bool
    proxy_headers: bool
    server_header: bool
    timeout_keep_alive: int
    timeout_graceful_shutdown: int


OPTIONS: Options = {
    "lifespan": "on",
    "ws": "none",
    "log_config": None,
    "access_log": False,
    "proxy_headers": False,  # addresses are forwarded by TRUSTED_PROXIES only, see server.middleware
    "server_header": False,
    "timeout_keep_alive": KEEP_ALIVE,
    "timeout_graceful_shutdown": GRACE,
}


def serve(settings: Settings, given: Namespace) -> int:
    """Start the server; the exit code when it has been stopped. Raises SettingsError."""
    if given.workers < 1:
        raise SettingsError("--workers: use 1 or more")
    if given.workers > 1 and not settings.chroma_url:
        raise SettingsError(
            "--workers: more than one needs SELFMEMORY_CHROMA_URL, since an embedded Chroma has one owner process"
        )
    with bound(settings.host, settings.port) as listener:
        chosen = {"host": settings.host, "port": listener.getsockname()[1]}
        if given.workers > 1:
            hand_down(chosen)
            return serve_in_workers(settings, given.workers, listener)
        with only_server(settings):
            return serve_here(read_settings(**chosen), listener)


def bound(host: str, port: int) -> socket.socket:
    """A socket at the address, not listening yet; port 0 means any. Raises SettingsError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)  # asyncio sets TCP_NODELAY only where the protocol is named
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise SettingsError(f"{host}:{port} cannot be listened on: {error.strerror}") from None
    listener.set_inheritable(True)
    return listener


@contextlib.contextmanager
def only_server(settings: Settings) -> Iterator[None]:
    """Hold the data directory, unless Chroma is served to all. Raises SettingsError when another server holds it."""
    if settings.chroma_url:
        yield
        return
    try:
        make_private(settings.data_dir)
        file = (settings.data_dir / "server.lock").open("w")
    except OSError as error:
        raise SettingsError(f"SELFMEMORY_DATA_DIR cannot be used: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(
                "another server uses this SELFMEMORY_DATA_DIR: an embedded Chroma has one owner process, "
                "several need SELFMEMORY_CHROMA_URL"
            ) from None
        yield


def serve_here(settings: Settings, listener: socket.socket) -> int:
    server = Server(uvicorn.Config(create_app(settings), **OPTIONS))
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))  # uvicorn raises it again when all is closed
    try:
        server.run([listener])
    except KeyboardInterrupt:
        return 0
    except SystemExit as stopped:
        return 1 if stopped.code else 0
    return 0


def serve_in_workers(settings: Settings, workers: int, listener: socket.socket) -> int:
    """Each worker reads the settings anew. They share the socket, and a folder for their metrics."""
    if settings.rate_limit_enabled and not settings.redis_url.get_secret_value():
        log.warning("each worker counts rate limits for itself: set SELFMEMORY_REDIS_URL")
    with tempfile.TemporaryDirectory(prefix="selfmemory-metrics-") as folder:
        share_metrics(folder)
        config = uvicorn.Config("server.app:from_environment", factory=True, workers=workers, **OPTIONS)
        config.timeout_worker_healthcheck = PATIENCE
        supervisor = Workers(config, [listener])
        supervisor.run()
    return 1 if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes) else 0


class Server(uvicorn.Server):
    """Says so when it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.collect()
        gc.freeze()  # what a start leaves stays for good: looking through it again would stop all requests for 80 ms
        for listener in sockets or []:
            tell(listener)


class Workers(Multiprocess):
    """Says so when all of them listen."""

    def init_processes(self) -> None:
        super().init_processes()
        if all(process.wait_until_ready(PATIENCE, self.should_exit) for process in self.processes):
            tell(self.sockets[0])

    def keep_subprocess_alive(self) -> None:
        for process in self.processes:
            if not self.should_exit.is_set() and process.exitcode is not None:
                log.warning("a worker ended and is replaced", extra={"pid": process.pid, "exit_code": process.exitcode})
        super().keep_subprocess_alive()


def tell(listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    log.info("listening", extra={"address": f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"})
