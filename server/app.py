"""Composes the service: `create_app(settings)` chooses and connects all parts."""

import contextlib
import gc
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from oauth import errors as oauth_errors
from oauth.routes import ROUTES as OAUTH
from rest import errors as programs
from rest.routes import ROUTES
from server import logs
from server.adapters.limits import Limits
from server.adapters.mail import open_mailer
from server.adapters.oidc import open_provider
from server.dashboard import errors as people
from server.dashboard.errors import accepts_page, is_for_people
from server.dashboard.pages import refusal
from server.dashboard.routes import ROUTES as PAGES
from server.dashboard.views import entrance, mailed_links, second_step
from server.errors import ServiceError
from server.index import MemoryIndex
from server.index.model.embeddings import Embedder, open_late
from server.machine import open_files
from server.metrics import Metrics
from server.sealing import Purpose, seal_for
from server.settings import Settings, SettingsError, metrics_folder, read_settings, traces_are_on
from server.shell import housekeeping
from server.shell.activity_log import ActivityLog
from server.shell.health import HealthChecks
from server.shell.last_use import UseRecorder
from server.shell.pools import new_pools
from server.shell.runtime import Runtime, State
from server.storage import data_folder
from server.storage.database import Database, migrate
from server.storage.database_failures import explained
from server.storage.postgres import STATEMENT_SECONDS
from server.storage.sqlite import require_shared_file
from server.web.cors import Cors
from server.web.middleware import Envelope, Strangers
from tools.server import mcp_route

if TYPE_CHECKING:
    from server.web.tracing import Tracing

log = logging.getLogger(__name__)

SWITCH_SECONDS = 0.001
"""How many seconds a computing thread may keep the GIL while others wait. A request gives up the GIL at each SQL
statement and each write to a socket. With Python's default, it could wait 5 ms each time to get it back.
"""

LEFT = 499
"""The status that nginx logs for a client that left."""

OpenEmbedder = Callable[[Settings], Embedder]


def create_app(settings: Settings, embedder: OpenEmbedder | None = None) -> Starlette:
    """Return the whole service as one Starlette app. Its lifespan opens and closes every resource."""
    tracing = open_tracing(settings)
    mcp, sessions = mcp_route(settings)
    metrics = Metrics(metrics_folder())

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[State]:
        async with contextlib.AsyncExitStack() as stack:
            runtime = await anyio.to_thread.run_sync(open_runtime, settings, embedder or open_late, metrics, tracing)
            stack.callback(close_runtime, runtime)
            if tracing:
                stack.push_async_callback(anyio.to_thread.run_sync, tracing.close)
            await stack.enter_async_context(sessions.run())
            await stack.enter_async_context(housekeeping.running(runtime))
            data_dir = str(settings.data_dir.absolute())  # relative to the folder in which the server was started
            log.info("ready", extra={"public_url": settings.public_url, "data_dir": data_dir})
            yield {"runtime": runtime}

    app = Starlette(
        routes=[*ROUTES, *OAUTH, mcp, *entrance.ROUTES, *second_step.ROUTES, *mailed_links.ROUTES, *PAGES],
        middleware=[
            *([Middleware(tracing.middleware)] if tracing else []),
            Middleware(Envelope, settings=settings, metrics=metrics, answer=answer_failure),
            Middleware(Cors, settings=settings),
            # innermost of the three, so that a 500 gets the headers of the other two
            Middleware(ServerErrorMiddleware, handler=answer_crash),  # type: ignore[arg-type]  # typed for Starlette's own State
            Middleware(Strangers, answer=answer_failure),
        ],
        exception_handlers=ANSWERS,  # type: ignore[arg-type]  # the same
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # the `Envelope` removes slashes; clients do not follow a redirect of a POST
    return app


async def answer_failure(request: Request[State], error: ServiceError) -> Response:
    """Answer a ServiceError as a page for people and as JSON for programs."""
    if is_for_people(request):
        return await refusal(request, error)
    if request.url.path.startswith("/oauth/"):
        return oauth_errors.failure(error)  # OAuth clients read `error`, not `detail`
    return await programs.answer_failure(request, error)


async def answer_http(request: Request[State], error: HTTPException) -> Response:
    if accepts_page(request):
        return await people.answer_http(request, error)
    return await programs.answer_http(request, error)


async def answer_nobody(_request: Request[State], _error: Exception) -> Response:
    """Answer a client that left before it had sent all of its request: only the log and the metrics see the status."""
    return Response(status_code=LEFT)


async def answer_crash(request: Request[State], error: Exception) -> Response:
    """Answer a bug: the traceback goes to the log, the request id to the caller."""
    answer = await programs.answer_crash(error)
    return people.crashed() if is_for_people(request) else answer


ANSWERS = {ServiceError: answer_failure, HTTPException: answer_http, ClientDisconnect: answer_nobody}


def open_tracing(settings: Settings) -> "Tracing | None":
    """Start sending traces if OpenTelemetry's endpoint is set."""
    if not traces_are_on():
        return None
    from server.web.tracing import Tracing  # noqa: PLC0415 - an extra

    return Tracing(settings.trusted_proxies)


def open_runtime(
    settings: Settings, embedder: OpenEmbedder, metrics: Metrics, tracing: "Tracing | None" = None
) -> Runtime:
    """Migrate, connect, load the model, start the index's worker. Blocks for about a second. Raises SettingsError."""
    url = settings.database_url.get_secret_value()
    with contextlib.ExitStack() as opened:
        with _blame_settings(settings), explained(url):
            open_files.raise_limit()
            sys.setswitchinterval(SWITCH_SECONDS)
            require_shared_file()
            data_folder.require_writable(settings.data_dir)
            data_folder.provide_temporary_folder(settings.data_dir)
            migrate(url)
            pools = new_pools()
            database = Database(
                url,
                connections=settings.database_pool,
                quota=settings.quota,
                trash_days=settings.trash_days,
                statement_seconds=STATEMENT_SECONDS,
            )
            opened.callback(database.close)
            if tracing:
                tracing.watch(database.engine)
            index = MemoryIndex(settings, database, embedder(settings))
            opened.callback(index.close)
            index.start()
            limits = Limits(settings, metrics_folder())
            seals = seal_for(settings, Purpose.SECOND_FACTOR), seal_for(settings, Purpose.SIGN_IN)
        mailer = open_mailer(settings, database)
        mailer.start()
        opened.pop_all()
    activity = ActivityLog(database, settings.activity_days, metrics.count_dropped_activity)
    activity.start()
    health = HealthChecks(settings, database, index, mailer)
    provider = open_provider(settings)
    return Runtime(
        settings, database, index, limits, mailer, *seals, metrics, health, pools, UseRecorder(), activity, provider
    )


@contextlib.contextmanager
def _blame_settings(settings: Settings) -> Iterator[None]:
    """Raises SettingsError for a failure that a wrong setting causes."""
    try:
        yield
    except OSError as error:
        raise SettingsError(data_folder.refusal(settings.data_dir, error)) from error


def close_runtime(runtime: Runtime) -> None:
    """Close every resource, even if one of them fails."""
    with contextlib.ExitStack() as closing:  # the last one is closed first
        for resource in (runtime.database, runtime.pools, runtime.mailer, runtime.activity):
            closing.callback(resource.close)
        closing.callback(runtime.index.close)  # first, because a Chroma that is not closed is rebuilt


def from_environment() -> Starlette:
    """Create the app for a process manager: `uvicorn --factory server.app:from_environment`."""
    end_with_parent()
    try:
        settings = read_settings()
    except SettingsError as error:
        sys.exit(f"selfmemory: {error}")
    logs.configure(settings.log_level, settings.log_format)
    app = create_app(settings)
    freeze_start()
    return app


def end_with_parent() -> None:
    """Stop this worker when the process that started it has died, because nothing else would."""
    parent = multiprocessing.parent_process()
    if parent is not None:

        def wait() -> None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=wait, name="parent", daemon=True).start()


def freeze_start() -> None:
    """Exclude the objects that exist at startup from garbage collection, which would stop all requests for 80 ms.
    Enable collections, which were disabled during the imports.
    """
    gc.collect()
    gc.freeze()
    gc.enable()
