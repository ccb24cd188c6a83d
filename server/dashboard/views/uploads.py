"""Imports an uploaded file: reads and counts it, lets the user choose what to leave out, and imports the rest."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from server import waits
from server.dashboard import file_reading
from server.dashboard.fields import whole_number
from server.dashboard.pages import PageRequest, parse_form, read_form, redirect
from server.domain.memory import imports
from server.errors import Forbidden, Invalid, ServiceError, TooLarge, Unavailable
from server.shell.runtime import Call
from server.shell.uploads import DiskFailed, State, Upload, UploadRunning, Uploads, Work, translating_disk_failures
from server.web.wire import FORM, media_types

T = TypeVar("T")

log = logging.getLogger(__name__)

FILE_BYTES = 200_000_000
FORM_BYTES = FILE_BYTES + 10_000
"""The largest upload, in bytes: the file and the rest of the form."""

UPLOAD_SECONDS = 1_800
PATIENCE_SECONDS = 3
"""How long a response waits for the background work. A small file is read within this time."""

RETRY_SECONDS = 1
"""How long a committed import waits for the database before it continues."""

NO_FILE = "Choose a file to import."

_uploading: set[str] = set()
"""The users who are currently sending a file to this process."""

_running: set["asyncio.Task[None]"] = set()
"""References to running background tasks, because asyncio itself keeps only weak ones."""


@contextlib.asynccontextmanager
async def read_upload(request: PageRequest) -> AsyncIterator[FormData]:
    """Read a form with a large file, which goes to disk.

    Raises Forbidden, Invalid, UploadRunning, TooLarge, Unavailable.
    """
    user_id = request.call.principal.user_id
    if not (await request.project()).may("write"):
        raise Forbidden
    if FORM in media_types(request.http):  # it has no file, and reading 200 MB of it would take a minute
        raise Invalid(NO_FILE)
    if user_id in _uploading:
        raise UploadRunning
    _uploading.add(user_id)
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            with translating_disk_failures():
                form = await parse_form(_bounded(request.http), 10)
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


read_choice = partial(read_form, most_fields=file_reading.MOST_GROUPS + 10)


async def upload(request: PageRequest) -> Response:
    """Store the file and read it once. Raises Invalid for a small file that cannot be imported."""
    file = request.form.get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        raise Invalid(NO_FILE)
    if not file.size:
        raise Invalid("This file is empty.")
    store, call = _store(request), request.call
    work = await call.runtime.in_thread(
        store.keep, call.principal.user_id, request.project_id, file.filename, file.file
    )
    await _in_background(store, work, file_reading.read_through(call, store, work.upload))
    stored_upload = await _upload_of(request, work.upload.id)
    if stored_upload.state is State.FAILED:
        raise Invalid(f"Nothing was imported. {stored_upload.problem}")
    return redirect(f"{request.project_path}/transfer/{stored_upload.id}")


async def show(request: PageRequest) -> Response:
    """Show what the file contains, how far the import has come, or how it ended.

    While work is running, the page reloads itself.
    """
    stored_upload = await _upload_of(request, request.path_param("upload_id"))
    values = {"upload": stored_upload, "most": file_reading.MOST_GROUPS, "most_of_each": file_reading.SAMPLE_LENGTH}
    response = await request.render("upload.html", request.project_id, **values)
    if stored_upload.is_running:
        response.headers["Refresh"] = "2"
    return response


async def start(request: PageRequest) -> Response:
    """Import the file without the groups that the user left out. Sending the form twice starts only one import."""
    stored_upload = await _upload_of(request, request.path_param("upload_id"))
    store, call = _store(request), request.call
    work = await call.runtime.in_thread(store.claim, stored_upload)
    if work is not None:
        names = list(stored_upload.groups)
        chosen = map(whole_number, request.texts("leave_out"))
        left_out = frozenset(names[number] for number in chosen if number is not None and number < len(names))
        await _in_background(store, work, _import(call, store, work.upload, left_out))
    return redirect(f"{request.project_path}/transfer/{stored_upload.id}")


async def cancel(request: PageRequest) -> Response:
    stored_upload = await _upload_of(request, request.path_param("upload_id"))
    if stored_upload.is_running:
        raise UploadRunning
    await request.call.runtime.in_thread(_store(request).remove, stored_upload)
    return redirect(f"{request.project_path}/transfer", "upload-canceled")


def _store(request: PageRequest) -> Uploads:
    return Uploads(request.call.runtime.settings.data_dir)


async def _upload_of(request: PageRequest, upload_id: str) -> Upload:
    """Return the user's upload into this page's project. It is done when all of it can be found. Raises NotFound."""
    await request.project()
    call, project_id = request.call, request.project_id
    found = await call.runtime.in_thread(_store(request).find, upload_id, call.principal.user_id, project_id)
    is_published = found.state is State.COMMITTED and found.import_id not in await call.read(
        imports.committed_in, project_id
    )
    return replace(found, state=State.DONE) if is_published else found


def _bounded(http: "Request[Any]") -> "Request[Any]":
    """Return the request with a body that raises TooLarge when it exceeds the largest upload."""
    announced = http.headers.get("content-length", "")
    most = FILE_BYTES // 1_000_000
    too_large = TooLarge(f"This file is too large: send at most {most} MB, or run the import command on the server.")
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


async def _in_background(store: Uploads, work: Work, steps: Coroutine[Any, Any, None]) -> None:
    """Run the steps even if the browser disconnects. Return when they have ended, or after a few seconds."""
    task = asyncio.create_task(_recorded(store, work, steps))
    _running.add(task)
    task.add_done_callback(_ended)
    await asyncio.wait([task], timeout=PATIENCE_SECONDS)


async def _recorded(store: Uploads, work: Work, steps: Coroutine[Any, Any, None]) -> None:
    """Record why the work failed, even after a bug, so that no page waits forever."""
    problem = Unavailable.sentence
    try:
        await steps
        problem = ""
    except ServiceError as error:
        problem = error.detail
    except asyncio.CancelledError:  # the server is stopping: the page will offer to start again
        problem = ""
        raise
    finally:
        with work.lock:
            if problem:
                with contextlib.suppress(OSError, ServiceError):
                    store.save(work.upload, state=State.FAILED, problem=problem)
                    store.remove_file(work.upload)


def _ended(task: "asyncio.Task[None]") -> None:
    _running.discard(task)
    failure = None if task.cancelled() else task.exception()
    if failure is not None:
        log.error("import failed", exc_info=failure)


async def _import(call: Call, store: Uploads, stored_upload: Upload, left_out: frozenset[str]) -> None:
    """Import everything that the user chose, or nothing. Raises ServiceError."""
    async with call.runtime.pools.imports.slot(call.caller):
        import_id = await _step(call, imports.begin, stored_upload.project_id)
        try:
            stored_upload = await _staged(call, store, stored_upload, left_out, import_id)
            await _step(call, imports.commit, import_id)
        except (ServiceError, asyncio.CancelledError):  # after any other, housekeeping discards it
            while await _step(call, imports.discard, import_id):
                pass
            raise
        committed = partial(store.save, stored_upload, state=State.COMMITTED, import_id=import_id)
        with contextlib.suppress(DiskFailed):  # the import has not failed
            stored_upload = await call.runtime.in_thread(committed)
        await _publish(call, stored_upload.project_id)
    await call.runtime.in_thread(_finish, store, stored_upload)


async def _publish(call: Call, project_id: str) -> None:
    """Publish everything that is committed in the project. If the database fails, try again: the import is decided."""
    while True:
        waits.begin()
        try:
            for import_id in await call.read(imports.committed_in, project_id):
                while await _step(call, imports.publish, import_id):
                    pass
        except Unavailable:
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return


async def _step(call: Call, operation: Callable[..., T], *args: object) -> T:
    """Run one step of the import, with the time budget of a whole request."""
    waits.begin()
    return await call.run(operation, *args)


async def _staged(
    call: Call, store: Uploads, stored_upload: Upload, left_out: frozenset[str], import_id: str
) -> Upload:
    chunks = imports.in_chunks(file_reading.lines(store, stored_upload, left_out))
    while chunk := await file_reading.in_turn(call, next, chunks, None):
        counts = await _step(call, imports.stage, import_id, chunk, call.index)
        progress = {
            "read": stored_upload.read + len(chunk),
            "stored": stored_upload.stored + counts.stored,
            "expired": stored_upload.expired + counts.expired,
        }
        stored_upload = await call.runtime.in_thread(partial(store.save, stored_upload, **progress))
    return stored_upload


def _finish(store: Uploads, stored_upload: Upload) -> None:
    with contextlib.suppress(DiskFailed):  # what is committed and published is shown as done
        store.save(stored_upload, state=State.DONE)
        store.remove_file(stored_upload)
