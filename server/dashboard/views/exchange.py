"""Import and export of a project as a file of JSON lines. The response to an upload shows the import's progress."""

import asyncio
import collections
import contextlib
import logging
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, NamedTuple, TypeVar

from starlette.datastructures import UploadFile
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from server import waits
from server.dashboard.pages import PageRequest
from server.dashboard.rendering import render
from server.domain.access import Action, require_project
from server.domain.memory import exchange, imports
from server.domain.memory.exchange import ExportRunning
from server.domain.teams import projects
from server.errors import Invalid, ServiceError, Unavailable
from server.principal import Principal
from server.runtime import Runtime, translating_outages

log = logging.getLogger(__name__)

T = TypeVar("T")

FILE_BYTES = 10_000_000
FORM_BYTES = FILE_BYTES + 10_000
"""The largest upload: a file and what the form adds to it."""

SPOOLED_BYTES = 1_000_000
"""The part of an export that is kept in memory. A larger export goes to disk."""

CHUNK_BYTES = 64_000
PROGRESS_MARK = "<!-- progress -->"
"""Where the page is split, so that progress can be sent between the two halves."""


class Outcome(NamedTuple):
    """How an import ended: the number of memories, or the problem."""

    memories: int = 0
    problem: ServiceError | None = None


@dataclass(frozen=True, slots=True)
class Import:
    """A running import. `updates` receives how many more memories were read, and finally the outcome."""

    request: PageRequest
    lines: Sequence[str]
    updates: "asyncio.Queue[int | Outcome]"

    async def run(self) -> None:
        """Import to the end, even if the reader of the page has left."""
        call = self.request.call
        try:
            async with call.runtime.pools.imports.slot(call.caller):
                await self._import()
            await self.updates.put(Outcome(len(self.lines)))
        except ServiceError as problem:
            await self.updates.put(Outcome(problem=problem))

    async def _import(self) -> None:
        """Check all lines first, so that an invalid file is refused before the page begins. Raises ServiceError."""
        call = self.request.call
        import_id = await call.run(imports.begin, self.request.project_id)
        try:
            await call.runtime.in_thread(collections.deque, imports.parsed_in_chunks(self.lines), 0)
            for chunk in imports.parsed_in_chunks(self.lines):
                await self._step(imports.stage, import_id, chunk, call.index)
                await self.updates.put(len(chunk))
            await self._step(imports.commit, import_id)
        finally:
            while await self._step(imports.discard, import_id):
                pass
        with contextlib.suppress(Unavailable):  # it is committed: housekeeping publishes the rest
            while await self._step(imports.publish, import_id):
                pass

    async def _step(self, operation: Callable[..., T], *args: object) -> T:
        """Run one step of the import, which may wait as long as a request."""
        waits.begin()
        return await self.request.call.run(operation, *args)

    def finish(self, task: "asyncio.Task[None]") -> None:
        """Send an outcome after a bug or a shutdown too, so that no reader waits forever."""
        _running.discard(task)
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            log.error("import failed", exc_info=failure)
        if task.cancelled() or failure is not None:
            self.updates.put_nowait(Outcome(problem=Unavailable()))


_running: set[asyncio.Task[None]] = set()
"""References to the running imports: asyncio itself keeps only weak ones."""


_exporting: set[str] = set()
"""The users with an export that is being written or sent by this process."""


class Download(StreamingResponse):
    """A response that ends its user's turn when it was sent, or could not be."""

    def __init__(self, content: AsyncIterator[bytes], turn: contextlib.ExitStack, **options: Any) -> None:
        super().__init__(content, **options)
        self.turn = turn

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self.turn:
            await super().__call__(scope, receive, send)


async def show(request: PageRequest) -> Response:
    return await request.render("exchange.html", request.project_id)


async def import_file(request: PageRequest) -> Response:
    """Start an import and stream a page that shows its progress.

    An invalid file is refused before the page begins.
    """
    lines = await _lines_of(request.form.get("file"))
    running = Import(request, lines, asyncio.Queue())
    task = asyncio.create_task(running.run())
    _running.add(task)
    task.add_done_callback(running.finish)
    first = await running.updates.get()
    if isinstance(first, Outcome) and first.problem:
        raise first.problem
    page = await request.render("importing.html", request.project_id, mark=PROGRESS_MARK)
    before, _, after = bytes(page.body).decode().partition(PROGRESS_MARK)
    headers = {name: value for name, value in page.headers.items() if name != "content-length"}
    content = _progress_page(running, first, before, after)
    return StreamingResponse(content, headers=headers | {"X-Accel-Buffering": "no"}, media_type="text/html")


async def export_file(request: PageRequest) -> Response:
    """Return the project as a file. Raises NotFound, ExportRunning."""
    runtime = request.call.runtime
    workspace = await request.call.read(projects.get, request.project_id)
    name = re.sub(r"[^A-Za-z0-9]+", "-", workspace.project.name).strip("-").lower() or "memories"
    with contextlib.ExitStack() as turn:
        turn.enter_context(_turn_of(request.call.principal.user_id))
        file = turn.enter_context(tempfile.SpooledTemporaryFile(SPOOLED_BYTES))
        await runtime.in_thread(_write_export, runtime, request.call.principal, workspace.project.id, file)
        headers = {"Content-Disposition": f'attachment; filename="{name}.jsonl"'}
        content = _chunks(runtime, file)
        return Download(content, turn.pop_all(), headers=headers, media_type="application/x-ndjson")


async def _lines_of(file: UploadFile | str | None) -> list[str]:
    if not isinstance(file, UploadFile) or not file.size:
        raise Invalid("Choose a file to import.")
    try:
        return [line for line in (await file.read()).decode("utf-8-sig").split("\n") if line.strip()]
    except UnicodeDecodeError:
        raise Invalid("This file is not UTF-8 text.") from None


async def _progress_page(running: Import, first: int | Outcome, before: str, after: str) -> AsyncIterator[str]:
    """Yield the page, with a paragraph for each percent in the middle. The stylesheet shows only the last one."""
    yield before
    total = len(running.lines)
    read = 0
    shown_percent = -1
    update = first
    while not isinstance(update, Outcome):
        read += update
        percent = read * 100 // total
        if percent > shown_percent:
            shown_percent = percent
            yield render("import_progress.html", {"read": read, "total": total})
        update = await running.updates.get()
    yield render("import_done.html", {"outcome": update, "project_id": running.request.project_id})
    yield after


@contextlib.contextmanager
def _turn_of(user_id: str) -> Iterator[None]:
    """Raises ExportRunning when the user has an export already, because each has a file on disk."""
    if user_id in _exporting:
        raise ExportRunning
    _exporting.add(user_id)
    try:
        yield
    finally:
        _exporting.discard(user_id)


def _write_export(runtime: Runtime, principal: Principal, project_id: str, file: IO[bytes]) -> None:
    """Write the complete export, so that a slow download does not keep a database snapshot open."""
    with translating_outages(), runtime.database.read() as session:
        require_project(session, principal, project_id, Action.READ)
        count = exchange.write_export(session, project_id, file)
    with translating_outages(), runtime.database.write() as session:
        exchange.record_export(session, principal, project_id, count)
    file.seek(0)


async def _chunks(runtime: Runtime, file: IO[bytes]) -> AsyncIterator[bytes]:
    """Yield the file's content. Each chunk is read on a worker thread."""
    while chunk := await runtime.in_thread(file.read, CHUNK_BYTES):
        yield chunk
