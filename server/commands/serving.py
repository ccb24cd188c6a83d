"""`serve`: one process, or several worker processes that share its sockets."""

import contextlib
import errno
import gc
import logging
import signal
import socket
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp

from server.commands import start_warnings
from server.commands.bounded_server import STOP_SECONDS, BoundedServer
from server.commands.http_protocol import HttpProtocol
from server.commands.workers import Workers
from server.machine.file_locks import try_lock
from server.machine.shared_folder import shared_folder
from server.network.urls import bracketed
from server.settings import (
    Settings,
    SettingsError,
    hand_down,
    read_settings,
    require_tracing,
    share_cores,
    share_metrics,
)
from server.storage.data_folder import require_writable
from server.storage.database import migrate
from server.storage.sqlite import file_of

log = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 75
"""Clients keep idle connections for less time than this, so they close them first."""

LISTEN_ADVICE = {
    errno.EADDRINUSE: "stop the program that uses this port, or set SELFMEMORY_PORT (--port) to another one",
    errno.EACCES: "set SELFMEMORY_PORT (--port) to 1024 or more",
    errno.EADDRNOTAVAIL: "set SELFMEMORY_HOST (--host) to an address of this machine, or to 0.0.0.0 for all of them",
    socket.EAI_NONAME: "set SELFMEMORY_HOST (--host) to an address of this machine, or to 0.0.0.0 for all of them",
}


def serve(settings: Settings, _args: Namespace) -> int:
    """Run the server until it is stopped. Return the exit code. Raises SettingsError."""
    require_tracing()
    require_writable(settings.data_dir)
    with contextlib.ExitStack() as bound:
        listeners = [bound.enter_context(listener) for listener in bind(settings)]
        chosen = {"host": settings.host, "port": listeners[0].getsockname()[1], "workers": settings.workers}
        settings = read_settings(**chosen)
        for warning in start_warnings.warnings_for(settings):
            log.warning(warning)
        with lock_data_dir(settings):
            if settings.workers == 1:
                code = serve_in_process(settings, listeners)
            else:
                hand_down(chosen)
                code = serve_in_workers(settings, listeners)
        if code == 0:
            log.info("stopped")
        return code


def bind(settings: Settings) -> list[socket.socket]:
    """Return sockets bound to the address, not listening yet. Port 0 picks a free one. Raises SettingsError.

    If PUBLIC_URL names localhost, 127.0.0.1 brings ::1 with it: some clients try only one address of a name.
    """
    try:
        listener = _bound_to(settings.host, settings.port)
    except OSError as error:
        advice = LISTEN_ADVICE.get(error.errno or 0, "check SELFMEMORY_HOST and SELFMEMORY_PORT")
        place = f"{bracketed(settings.host)}:{settings.port}"
        raise SettingsError(f"cannot listen on {place}: {error.strerror}: {advice}") from None
    address, port = listener.getsockname()[:2]
    if address != "127.0.0.1" or urlsplit(settings.public_url).hostname != "localhost":
        return [listener]
    try:
        return [listener, _bound_to("::1", port)]
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            log.warning(f"another program uses [::1]:{port}: stop it, or some clients reach it at localhost:{port}")
        return [listener]


def _bound_to(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)  # asyncio sets TCP_NODELAY only if the protocol is given
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    listener.set_inheritable(True)
    return listener


@contextlib.contextmanager
def lock_data_dir(settings: Settings) -> Iterator[None]:
    """Lock the data directory against a second server, unless a Chroma server holds the index. Raises SettingsError."""
    if settings.chroma_url:
        yield
        return
    with (settings.data_dir / "server.lock").open("w") as file:
        if not try_lock(file):
            raise SettingsError(
                "another server uses this SELFMEMORY_DATA_DIR: stop it, choose another folder, "
                "or set SELFMEMORY_CHROMA_URL so that several servers can share the index"
            )
        yield


def serve_in_process(settings: Settings, listeners: list[socket.socket]) -> int:
    gc.disable()  # collections would take a fifth of the time of the imports; `freeze_start` enables them again
    from server.app import create_app, freeze_start  # noqa: PLC0415 - 100 MB that the parent of workers does not need

    def when_listening() -> None:
        freeze_start()
        log_address(listeners[0], settings.public_url)

    # uvicorn raises the signal again after it has closed everything
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    stop_when_terminal_closes()
    try:
        Server(config_of(create_app(settings)), when_listening).run(listeners)
    except KeyboardInterrupt:
        return 0
    except SystemExit as stopped:
        return 1 if stopped.code else 0
    return 0


def config_of(app: ASGIApp | str, *, workers: int = 1) -> uvicorn.Config:
    """Return the configuration of a server. `app` is a name of a function if other processes create the app."""
    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        workers=workers,
        http=HttpProtocol,
        lifespan="on",
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # server.web.middleware trusts TRUSTED_PROXIES only
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )


def stop_when_terminal_closes() -> None:
    """Treat SIGHUP as SIGTERM, unless nohup started this process."""
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda _number, _frame: signal.raise_signal(signal.SIGTERM))


def serve_in_workers(settings: Settings, listeners: list[socket.socket]) -> int:
    """Run workers that share the sockets and a metrics folder. Each reads the settings from the environment."""
    url = settings.database_url.get_secret_value()
    migrate(url)  # checked here, so that a problem is reported only once
    if file := file_of(url):
        file.problem()  # the first call remembers the file
    with shared_folder() as folder:
        share_metrics(folder)
        share_cores(settings.workers)
        config = config_of("server.app:from_environment", workers=settings.workers)
        workers = Workers(config, listeners, lambda: log_address(listeners[0], settings.public_url), file)
        workers.run()
    return 1 if workers.have_failed else 0


class Server(BoundedServer):
    """Calls `when_listening` as soon as it listens."""

    def __init__(self, config: uvicorn.Config, when_listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._when_listening = when_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._when_listening()


def log_address(listener: socket.socket, public_url: str) -> None:
    host, port = listener.getsockname()[:2]
    log.info("listening", extra={"address": f"http://{bracketed(host)}:{port}"})
    log.info(f"open {public_url} in a browser")
