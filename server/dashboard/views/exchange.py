"""Import and export: a file of JSON lines. An import tells how far it is in the very answer to the upload."""

import asyncio
import contextlib
import logging
import re
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import IO, NamedTuple

import anyio.from_thread
from sqlmodel import Session
from starlette.datastructures import UploadFile
from starlette.responses import Response, StreamingResponse

from server.dashboard.pages import PageRequest
from server.dashboard.rendering import render
from server.domain.access import Action, require_project
from server.domain.memory import exchange
from server.domain.memory.exchange import Progress
from server.domain.teams import projects
from server.errors import Invalid, ServiceError, Unavailable
from server.index import MemoryIndex
from server.limits import Bucket
from server.principal import Principal
from server.runtime import Runtime, translating_outages

log = logging.getLogger(__name__)

FILE_BYTES = 10_000_000
ENVELOPE_BYTES = 10_000
"""What a form adds around its file."""

SPOOLED_BYTES = 1_000_000
"""Of an export, kept in memory; a longer one is on the disk."""

CHUNK_BYTES = 64_000
MARK = "<!-- progress -->"


class Done(NamedTuple):
    """The import's end: how many memories, or why none."""

    memories: int = 0
    problem: ServiceError | None = None


@dataclass(frozen=True, slots=True)
class Import:
    """An import under way: what comes through `news` is how many more memories are read, at last how it ended."""

    visit: PageRequest
    lines: Sequence[str]
    news: "asyncio.Queue[int | Done]"

    async def run(self) -> None:
        """On a worker thread, to its end, even when nobody is listening any more."""
        call, project_id = self.visit.call, self.visit.path("project_id")
        try:
            count = await call.run(bring_in, project_id, self.lines, call.index, self._tell)
            await self.news.put(Done(count))
        except ServiceError as problem:
            await self.news.put(Done(problem=problem))

    def ended(self, task: "asyncio.Task[None]") -> None:
        """Nobody waits for ever: a bug and a shutdown end the news as well."""
        _running.discard(task)
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            log.error("import failed", exc_info=failure)
        if task.cancelled() or failure is not None:
            self.news.put_nowait(Done(problem=Unavailable()))

    def _tell(self, read: int) -> None:
        """From the worker thread."""
        anyio.from_thread.run_sync(self.news.put_nowait, read)


_running: set[asyncio.Task[None]] = set()


async def show(visit: PageRequest) -> Response:
    return await visit.page("transfer.html", visit.path("project_id"))


async def bring(visit: PageRequest) -> Response:
    """What cannot be read is refused before anything is shown; then the page grows until the import has ended."""
    lines = await _lines_of(visit.form.get("file"))
    await visit.call.runtime.in_thread(visit.call.runtime.limits.hit, Bucket.MEMORY_ADD, visit.call.limit_key)
    importing = Import(visit, lines, asyncio.Queue())
    task = asyncio.create_task(importing.run())
    _running.add(task)
    task.add_done_callback(importing.ended)
    first = await importing.news.get()
    if isinstance(first, Done) and first.problem:
        raise first.problem
    page = await visit.page("importing.html", visit.path("project_id"), mark=MARK)
    before, _, after = bytes(page.body).decode().partition(MARK)
    headers = {name: value for name, value in page.headers.items() if name != "content-length"}
    streamed = _told(importing, first, before, after)
    return StreamingResponse(streamed, headers=headers | {"X-Accel-Buffering": "no"}, media_type="text/html")


async def export(visit: PageRequest) -> Response:
    """The whole project as a file. Raises NotFound."""
    runtime = visit.call.runtime
    workspace = await visit.call.read(projects.get, visit.path("project_id"))
    name = re.sub(r"[^A-Za-z0-9]+", "-", workspace.project.name).strip("-").lower() or "memories"
    file = await runtime.in_thread(_exported, runtime, visit.call.principal, workspace.project.id)
    headers = {"Content-Disposition": f'attachment; filename="{name}.jsonl"'}
    return StreamingResponse(_read(runtime, file), headers=headers, media_type="application/x-ndjson")


def bring_in(
    session: Session,
    principal: Principal,
    project_id: str,
    lines: Sequence[str],
    index: MemoryIndex,
    progress: Progress,
) -> int:
    """Import with the right to write, which must still be there when the model has read all of it."""
    require_project(session, principal, project_id, Action.WRITE)
    count = exchange.import_memories(session, project_id, lines, index, progress)
    require_project(session, principal, project_id, Action.WRITE)
    return count


async def _lines_of(file: UploadFile | str | None) -> list[str]:
    if not isinstance(file, UploadFile) or not file.size:
        raise Invalid("Choose a file that an export wrote.")
    try:
        return [line for line in (await file.read()).decode("utf-8-sig").split("\n") if line.strip()]
    except UnicodeDecodeError:
        raise Invalid("This is not a text file in UTF-8.") from None


async def _told(importing: Import, first: int | Done, before: str, after: str) -> AsyncIterator[str]:
    """The page up to where it grows, a paragraph for each percent (only the last is seen), the rest."""
    yield before
    total, read, told, news = len(importing.lines), 0, -1, first
    while not isinstance(news, Done):
        read += news
        if read * 100 // total > told:
            told = read * 100 // total
            yield render("import_progress.html", {"read": read, "total": total})
        news = await importing.news.get()
    yield render("import_done.html", {"done": news, "project_id": importing.visit.path("project_id")})
    yield after


def _exported(runtime: Runtime, principal: Principal, project_id: str) -> IO[bytes]:
    """Written whole before any of it is sent: a reader who takes an hour must not keep the database for as long."""
    with contextlib.ExitStack() as opened:
        file = opened.enter_context(tempfile.SpooledTemporaryFile(SPOOLED_BYTES))
        with translating_outages(), runtime.database.read() as session:
            require_project(session, principal, project_id, Action.READ)
            for line in exchange.export_memories(session, project_id):
                file.write(f"{line}\n".encode())
        file.seek(0)
        opened.pop_all()
        return file


async def _read(runtime: Runtime, file: IO[bytes]) -> AsyncIterator[bytes]:
    """Each chunk is read on a worker thread."""
    with file:
        while chunk := await runtime.in_thread(file.read, CHUNK_BYTES):
            yield chunk
