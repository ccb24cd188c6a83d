"""Export of a project as a file."""

import contextlib
import re
import tempfile
import unicodedata
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from pydantic import ConfigDict
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from server.dashboard.fields import parse_fields
from server.dashboard.pages import PageRequest
from server.dashboard.views.list_query import ListQuery
from server.domain.access import Action, require_project
from server.domain.memory.exchange.export import FILES, Chosen, ExportFormat, record_export, write_export
from server.domain.memory.exchange.sources import EXAMPLE
from server.domain.teams import projects
from server.errors import Conflict, Invalid
from server.settings import make_private
from server.shell.runtime import Runtime, translating_outages
from server.shell.uploads import open_lock, translating_disk_failures

SPOOLED_BYTES = 1_000_000
"""The largest export, in bytes, that is kept in memory. A larger one goes to disk."""

CHUNK_BYTES = 64_000

DEFAULT_NAME = "memories"


class ExportRunning(Conflict):
    sentence = "An export of yours is still running: let it finish, or cancel its download, and try again."


class Download(StreamingResponse):
    """A response that closes `turn`, the user's place among others, once it is sent or has failed."""

    def __init__(self, content: AsyncIterator[bytes], turn: contextlib.ExitStack, **options: Any) -> None:
        super().__init__(content, **options)
        self.turn = turn

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self.turn:
            await super().__call__(scope, receive, send)


class ExportQuery(ListQuery):
    """The filters of an export. Ignoring an unknown one would export more than was asked for."""

    model_config = ConfigDict(extra="forbid")


async def show(request: PageRequest) -> Response:
    return await request.render("exchange.html", request.project_id, example=EXAMPLE)


async def export_file(request: PageRequest) -> Response:
    """Return what passes the filters of the address as a file. Raises NotFound, ExportRunning, Invalid."""
    parameters = dict(request.http.query_params)
    export_format = _format_of(parameters.pop("format", ExportFormat.JSONL))
    query = parse_fields(ExportQuery, parameters)
    if query.q:
        raise Invalid("is a search, which has no end. Export what passes filters instead.", field="q")
    return await download(request, export_format, query.filters())


async def download(request: PageRequest, export_format: ExportFormat, chosen: Chosen) -> Response:
    """Return the chosen memories of the project as a file. Raises NotFound, ExportRunning."""
    ending, media_type = FILES[export_format]
    call, runtime = request.call, request.call.runtime
    project = (await call.read(projects.get, request.project_id)).project
    with contextlib.ExitStack() as turn:
        turn.enter_context(_turn_of(call.principal.user_id, runtime.settings.data_dir / "exports"))
        file = turn.enter_context(tempfile.SpooledTemporaryFile(SPOOLED_BYTES))

        def write() -> int:
            """Write the complete export, so that a slow download does not keep a database snapshot open."""
            with translating_outages(), translating_disk_failures(), runtime.database.read() as session:
                require_project(session, call.principal, project.id, Action.READ)
                count = write_export(session, project.id, file, export_format=export_format, chosen=chosen)
            file.seek(0)
            return count

        count = await runtime.pools.exports.run(call.caller, write)
        await call.run(record_export, project.id, count)
        headers = {"Content-Disposition": _named_after(project.name, ending)}
        content = _chunks(runtime, file)
        return Download(content, turn.pop_all(), headers=headers, media_type=media_type)


def _named_after(project_name: str, ending: str) -> str:
    """Return a Content-Disposition with the project's name, also in ASCII for old programs (RFC 6266)."""
    letters = "".join(c if unicodedata.category(c)[0] in "LMN" else "-" for c in project_name.lower())
    name = re.sub("-+", "-", letters).strip("-") or DEFAULT_NAME
    ascii_name = re.sub("[^a-z0-9]+", "-", name).strip("-") or DEFAULT_NAME
    header = f'attachment; filename="{ascii_name}.{ending}"'
    return header if name == ascii_name else f"{header}; filename*=UTF-8''{quote(name, safe='')}.{ending}"


def _format_of(name: str) -> ExportFormat:
    try:
        return ExportFormat(name)
    except ValueError:
        raise Invalid(f"must be one of {', '.join(ExportFormat)}.", field="format") from None


@contextlib.contextmanager
def _turn_of(user_id: str, folder: Path) -> Iterator[None]:
    """Raises ExportRunning if the user already has an export running, because each export takes a file on disk."""
    with translating_disk_failures():
        make_private(folder)
        lock = open_lock(folder / f"{user_id}.lock")
    if lock is None:
        raise ExportRunning
    with lock:
        yield


async def _chunks(runtime: Runtime, file: IO[bytes]) -> AsyncIterator[bytes]:
    """Yield the file's content. Each chunk is read on a worker thread."""
    while chunk := await runtime.in_thread(file.read, CHUNK_BYTES):
        yield chunk
