"""Import of an uploaded file: it is read and counted, the user chooses what to leave out, and the rest is imported."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, TypeVar

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from server import waits
from server.dashboard.pages import PageRequest, read_form, redirect
from server.domain.memory import imports
from server.domain.memory.exchange.entries import Warnings
from server.domain.memory.exchange.lines import Line
from server.domain.memory.exchange.sources import checked, read_path
from server.errors import Forbidden, Invalid, ServiceError, TooLarge, Unavailable
from server.runtime import Call
from server.uploads import State, Upload, UploadRunning, Uploads, no_space_told

T = TypeVar("T")

log = logging.getLogger(__name__)

FILE_BYTES = 200_000_000
FORM_BYTES = FILE_BYTES + 10_000
"""The largest upload, in bytes: the file and the rest of the form."""

UPLOAD_SECONDS = 1_800
PATIENCE_SECONDS = 3
"""How long an answer waits for work in the background. A small file is read by then."""

MOST_GROUPS = 1_000
"""The most conversations or files that the page offers to leave out."""

_uploading: set[str] = set()
"""The users who are sending a file to this process."""

_running: set["asyncio.Task[None]"] = set()
"""References to the work in the background: asyncio itself keeps only weak ones."""


@contextlib.asynccontextmanager
async def read_upload(request: PageRequest) -> AsyncIterator[FormData]:
    """Read a form with a large file, which goes to disk. Raises Forbidden, UploadRunning, TooLarge, Unavailable."""
    user_id = request.call.principal.user_id
    if not (await request.project()).may("write"):
        raise Forbidden
    if user_id in _uploading:
        raise UploadRunning
    _uploading.add(user_id)
    try:
        with no_space_told():
            async with asyncio.timeout(UPLOAD_SECONDS):
                form = await _bounded(request.http).form(max_files=1, max_fields=10)
        try:
            yield form
        finally:
            await form.close()
    except TimeoutError:
        raise Unavailable(
            "The upload took too long, so nothing was imported. For large files, run the import command on the server."
        ) from None
    finally:
        _uploading.discard(user_id)


@contextlib.asynccontextmanager
async def read_choice(request: PageRequest) -> AsyncIterator[FormData]:
    async with read_form(request, MOST_GROUPS + 10) as form:
        yield form


async def upload(request: PageRequest) -> Response:
    """Keep the file and read it once. Raises Invalid for a small file that cannot be imported."""
    file = request.form.get("file")
    if not isinstance(file, UploadFile) or not file.size:
        raise Invalid("Choose a file to import.")
    store, call = _store(request), request.call
    kept = await call.runtime.in_thread(
        store.keep, call.principal.user_id, request.project_id, file.filename or "file", file.file
    )
    await _in_background(store, kept, call.runtime.in_thread(_read_through, store, kept))
    kept = await _found(request, kept.id)
    if kept.state is State.FAILED:
        raise Invalid(f"{kept.problem} Nothing was imported.")
    return redirect(f"{request.project_path}/transfer/{kept.id}")


async def show(request: PageRequest) -> Response:
    """Show what the file holds, how far its import is, or how it ended.

    While work is running, the page reloads itself.
    """
    kept = await _found(request, request.path_param("upload_id"))
    response = await request.render("upload.html", request.project_id, upload=kept, most=MOST_GROUPS)
    if kept.is_running:
        response.headers["Refresh"] = "2"
    return response


async def start(request: PageRequest) -> Response:
    """Import the file without the groups that the user left out. Sending the form twice starts only one import."""
    kept = await _found(request, request.path_param("upload_id"))
    store, call = _store(request), request.call
    claimed = await call.runtime.in_thread(store.claim, kept) if kept.state is State.WAITING else None
    if claimed is not None:
        names = list(kept.groups)
        chosen = [int(number) for number in request.texts("leave_out") if number.isascii() and number.isdecimal()]
        left_out = frozenset(names[number] for number in chosen if number < len(names))
        await _in_background(store, claimed, _import(call, store, claimed, left_out))
    return redirect(f"{request.project_path}/transfer/{kept.id}")


async def cancel(request: PageRequest) -> Response:
    kept = await _found(request, request.path_param("upload_id"))
    if kept.is_running:
        raise UploadRunning
    await request.call.runtime.in_thread(_store(request).remove, kept)
    return redirect(f"{request.project_path}/transfer", "upload-canceled")


def _store(request: PageRequest) -> Uploads:
    return Uploads(request.call.runtime.settings.data_dir)


async def _found(request: PageRequest, upload_id: str) -> Upload:
    """Return the caller's upload into the project of the page. Raises NotFound."""
    await request.project()
    user_id = request.call.principal.user_id
    return await request.call.runtime.in_thread(_store(request).find, upload_id, user_id, request.project_id)


def _bounded(http: "Request[Any]") -> "Request[Any]":
    """Return the request with a body that raises TooLarge when it exceeds the largest upload."""
    announced = http.headers.get("content-length", "")
    too_large = TooLarge(f"This file is too large: send at most {FILE_BYTES // 1_000_000} MB, or use the command.")
    if announced.isdecimal() and int(announced) > FORM_BYTES:
        raise too_large
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await http.receive()
        received += len(message.get("body", b""))
        if received > FORM_BYTES:
            raise too_large
        return message

    return Request(http.scope, receive)


async def _in_background(store: Uploads, kept: Upload, work: Coroutine[Any, Any, None]) -> None:
    """Run the work to completion even if the browser disconnects. Return when it has ended, or after a few seconds."""
    task = asyncio.create_task(_recorded(store, kept, work))
    _running.add(task)
    task.add_done_callback(_ended)
    await asyncio.wait([task], timeout=PATIENCE_SECONDS)


async def _recorded(store: Uploads, kept: Upload, work: Coroutine[Any, Any, None]) -> None:
    """Record why the work failed, even if a bug caused it, so that no page waits forever."""
    problem = Unavailable.sentence
    try:
        await work
        problem = ""
    except ServiceError as error:
        problem = error.detail
    except asyncio.CancelledError:  # the server stops: the page offers to start again
        problem = ""
        raise
    finally:
        if problem:
            with contextlib.suppress(OSError, ServiceError):
                store.save(kept, state=State.FAILED, problem=problem)
                store.remove_file(kept)


def _ended(task: "asyncio.Task[None]") -> None:
    _running.discard(task)
    failure = None if task.cancelled() else task.exception()
    if failure is not None:
        log.error("import failed", exc_info=failure)


def _lines(store: Uploads, kept: Upload, warnings: Warnings, left_out: frozenset[str]) -> Iterator[Line]:
    return checked(read_path(store.path_of(kept), warnings, name=kept.name), left_out)


def _read_through(store: Uploads, kept: Upload) -> None:
    """Check the whole file and count what it holds. Raises Invalid."""
    warnings = Warnings()
    groups: Counter[str] = Counter()
    total = 0
    saved = kept
    for entry in read_path(store.path_of(kept), warnings, name=kept.name):
        next(checked([entry]))
        total += 1
        if entry.group and (entry.group in groups or len(groups) < MOST_GROUPS):
            groups[entry.group] += 1
        if total % 1_000 == 0:
            saved = store.save(saved, total=total)
    if total == 0:
        raise Invalid("This file holds no memories.")
    store.save(saved, state=State.WAITING, total=total, groups=dict(groups), warnings=warnings.sentences())


async def _import(call: Call, store: Uploads, kept: Upload, left_out: frozenset[str]) -> None:
    """Import what is chosen, or nothing. Raises ServiceError."""
    async with call.runtime.pools.imports.slot(call.caller):
        import_id = await _step(call, imports.begin, kept.project_id)
        try:
            kept = await _staged(call, store, kept, left_out, import_id)
            await _step(call, imports.commit, import_id)
        finally:
            while await _step(call, imports.discard, import_id):
                pass
        with contextlib.suppress(Unavailable):  # it is committed: housekeeping publishes the rest
            while await _step(call, imports.publish, import_id):
                await call.runtime.in_thread(_progressed, store, kept, 0, 0)  # it is not interrupted
    await call.runtime.in_thread(_finish, store, kept)


async def _step(call: Call, operation: Callable[..., T], *args: object) -> T:
    """Run one step of the import, which may wait as long as a whole request may."""
    waits.begin()
    return await call.run(operation, *args)


async def _staged(call: Call, store: Uploads, kept: Upload, left_out: frozenset[str], import_id: str) -> Upload:
    in_thread: Callable[..., Any] = call.runtime.in_thread
    chunks = imports.in_chunks(_lines(store, kept, Warnings(), left_out))
    while chunk := await in_thread(next, chunks, None):
        stored = await _step(call, imports.stage, import_id, chunk, call.index)
        kept = await in_thread(_progressed, store, kept, len(chunk), stored)
    return kept


def _progressed(store: Uploads, kept: Upload, read: int, stored: int) -> Upload:
    return store.save(kept, read=kept.read + read, stored=kept.stored + stored)


def _finish(store: Uploads, kept: Upload) -> None:
    store.save(kept, state=State.DONE)
    store.remove_file(kept)
