"""Export and import of a project's memories as a file."""

import asyncio
import contextlib
import errno
import fcntl
import io
import json
import os
import zipfile

import httpx
import pytest
from starlette.types import ASGIApp, Message

from server.dashboard.views import uploads
from server.settings import Settings
from server.shell.uploads import Uploads
from server.storage.database import Database
from tests.conftest import ORIGIN
from tests.support.visitors import Visitor, seen


async def begin_export(app: ASGIApp, ann: Visitor) -> tuple[asyncio.Future[None], asyncio.Event]:
    """Begin a download whose reader takes nothing more until the event is set."""
    started, resumed = asyncio.Event(), asyncio.Event()

    async def send_slowly(message: Message) -> None:
        if message.get("body"):
            started.set()
            await resumed.wait()

    async def receive_disconnect() -> Message:
        await resumed.wait()
        return {"type": "http.disconnect"}

    request = ann.client.build_request("GET", f"{ann.project}/export")
    scope = {
        "type": "http", "method": "GET", "path": request.url.path, "query_string": b"", "client": ("127.0.0.1", 1),
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
    }  # fmt: skip
    download = asyncio.ensure_future(app(scope, receive_disconnect, send_slowly))
    await started.wait()
    return download, resumed


async def test_a_stalled_download_does_not_block_the_database(app: ASGIApp, ann: Visitor, database: Database) -> None:
    """An old snapshot would keep SQLite from truncating its log, which still holds deleted memories."""
    await ann.remember("I like tea. " * 500)
    download, resumed = await begin_export(app, ann)
    await ann.remember("I like coffee.")
    with contextlib.closing(database.engine.raw_connection()) as connection:
        busy, *_ = connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    resumed.set()
    await download
    assert busy == 0


async def test_a_user_has_one_export_at_a_time(app: ASGIApp, ann: Visitor, ben: Visitor) -> None:
    await ann.remember("I like tea.")
    download, resumed = await begin_export(app, ann)
    refused = await ann.get(f"{ann.project}/export")
    assert refused.status_code == 409
    assert "An export of yours is still running" in seen(refused)
    assert (await ben.get(f"{ben.project}/export")).status_code == 200
    resumed.set()
    await download
    assert (await ann.get(f"{ann.project}/export")).status_code == 200
    assert (await ann.get("/dashboard/projects/proj_nothere/export")).status_code == 404
    assert (await ann.get(f"{ann.project}/export")).status_code == 200


async def test_exports_and_imports_leave_their_trace_in_the_audit(ann: Visitor, viewer: Visitor) -> None:
    await ann.remember("I like tea.")
    exported = (await viewer.get(f"{ann.project}/export")).content
    assert "1 memory imported" in seen(await import_all(ann, line("Tea.") + exported))
    events = (await ann.client.get(f"/api/organizations/{ann.tenant.organization_id}/audit")).json()["events"]
    imported, exported_event = events[:2]
    assert (imported["type"], imported["actor_id"]) == ("memories.imported", ann.tenant.user_id)
    assert (exported_event["type"], exported_event["actor_id"]) == ("memories.exported", viewer.tenant.user_id)
    for event, count in ((imported, 1), (exported_event, 1)):
        assert event["target"] == ann.tenant.project_id
        assert event["metadata"].pop("credential_id").startswith("ses_")
        assert event["metadata"] == {"count": count, "credential": "session"}
    activity = await ann.see(f"{ann.organization}/activity")
    assert "Memories imported alice · My Memories · 1 memory" in activity
    assert "Memories exported bob · My Memories · 1 memory" in activity


async def test_an_export_can_be_imported(ann: Visitor, ben: Visitor) -> None:
    for text in ("Anna likes the window.", "Größe, 大小, <b>"):
        await ann.remember(text, tags="a,b")
    file = await ann.get(f"{ann.project}/export")
    assert file.headers["content-disposition"] == 'attachment; filename="my-memories.jsonl"'
    assert len(file.text.splitlines()) == 2
    assert "2 memories imported. 0 memories skipped" in seen(await import_all(ben, file.content))
    assert "Größe, 大小, <b>" in await ben.see(f"{ben.project}/memories")
    assert "0 memories imported. 2 memories skipped: they already exist" in seen(await import_all(ben, file.content))
    again = file.content.splitlines(keepends=True)[0] + line("New.")
    assert "1 memory imported. 1 memory skipped: it already exists" in seen(await import_all(ben, again))
    again += line("Old.", expires_at="2020-01-01")
    assert "3 memories skipped: 2 already exist, and 1 has expired." in seen(await import_all(ben, again))


@pytest.mark.parametrize(("wanted", "ending"), [("markdown", "zip"), ("csv", "csv")])
async def test_other_formats_can_be_imported_too(ann: Visitor, ben: Visitor, wanted: str, ending: str) -> None:
    await ann.remember("=1+1 is two.", tags="sums", place={"room": 3})
    file = await ann.get(f"{ann.project}/export?format={wanted}")
    assert file.headers["content-disposition"] == f'attachment; filename="my-memories.{ending}"'
    assert "1 memory imported" in seen(await import_all(ben, file.content))
    listed = (await ben.client.get("/api/memories", headers=ben.tenant.auth)).json()["results"]
    assert [(one["content"], one["metadata"]["place"]) for one in listed] == [("=1+1 is two.", {"room": 3})]


async def test_what_is_left_out_is_not_imported(ann: Visitor, settings: Settings) -> None:
    chats = [conversation("Trip to Rome", "Where to stay?"), conversation("A secret", "What do I hide?")]
    page = await uploaded(ann, json.dumps(chats).encode())
    shown = await ann.see(page)
    assert "The file contains 2 memories from ChatGPT. Nothing is stored yet." in shown
    assert "Trip to Rome user: Where to stay?" in shown
    assert "Trip to Rome 1 memory A secret 1 memory" in shown
    assert "0 memories" in await ann.see(f"{ann.project}/memories")
    await ann.do(page, {"leave_out": ["1"]})
    assert "1 memory imported" in await ann.see(page)
    left = [file.read_bytes() for file in (settings.data_dir / "uploads").rglob("*") if file.is_file()]
    assert left
    assert b"Where to stay?" not in b"".join(left)
    memories = await ann.see(f"{ann.project}/memories")
    assert ("Where to stay?" in memories, "What do I hide?" in memories) == (True, False)
    assert "2023 imported from ChatGPT" in memories
    assert "imported from ChatGPT 1" in memories
    await import_all(ann, line("Tea."))
    assert "just now imported" in await ann.see(f"{ann.project}/memories?q=Tea")


async def test_many_parts_to_leave_out_are_folded(ann: Visitor) -> None:
    for parts, opened in ((2, " open"), (11, "")):
        page = await uploaded(ann, json.dumps([conversation(f"Chat {n}", "Why?") for n in range(parts)]).encode())
        assert f'<details class="version"{opened}><summary>Leave out' in (await ann.get(page)).text


async def test_a_number_with_thousands_of_digits_leaves_nothing_out(ann: Visitor) -> None:
    page = await uploaded(ann, json.dumps([conversation("Trip to Rome", "Where to stay?")]).encode())
    await ann.do(page, {"leave_out": ["9" * 5_000, "²", "1"]})
    assert "1 memory imported" in await ann.see(page)


async def test_the_page_says_what_it_leaves_out_and_what_is_damaged(ann: Visitor) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("good.md", "../evil.md", "a.png"):
            archive.writestr(name, "tea")
    page = await uploaded(ann, file.getvalue())
    for _ in range(2):
        shown = await ann.see(page)
        assert "files whose path leads outside the folder were left out, such as ../evil.md (1 time)" in shown
        assert "files that are not Markdown, JSON or CSV were left out, such as a.png (1 time)" in shown
        await ann.do(page)
    damaged = await upload(ann, file.getvalue()[:-30])
    assert "Nothing was imported. This zip is damaged: its end is missing. Download or" in seen(damaged)
    long = seen(await upload(ann, line("x" * 10_001)))
    assert "line 1: content: has 10,001 characters, and a memory or message holds at most 10,000: split" in long


async def test_an_upload_can_be_canceled_and_then_it_is_gone(ann: Visitor) -> None:
    page = await uploaded(ann, line("Tea."))
    assert "upload-canceled" in await ann.do(f"{page}/cancel")
    assert (await ann.get(page)).status_code == 404


async def test_an_upload_is_seen_by_its_user_in_its_project_alone(ann: Visitor, viewer: Visitor, ben: Visitor) -> None:
    page = await uploaded(ann, line("Tea."))
    upload_id = page.rpartition("/")[2]
    for visitor in (viewer, ben):
        for path in (page, f"{visitor.project}/transfer/{upload_id}", f"{page}/cancel"):
            assert (await visitor.post(path)).status_code == 404
        assert (await visitor.get(page)).status_code == 404
    for name in ("upl_0", "%2e%2e%2f", f"{upload_id}%00"):
        assert (await ann.get(f"{ann.project}/transfer/{name}")).status_code == 404
    assert "The file contains 1 memory" in await ann.see(page)


async def test_a_form_that_is_sent_twice_imports_once(ann: Visitor) -> None:
    page = await uploaded(ann, line("Tea."))
    await ann.do(page)
    await ann.do(page)
    assert "1 memory imported" in await ann.see(page)
    assert "1 memory" in await ann.see(f"{ann.project}/memories")


async def test_a_user_sends_one_file_at_a_time(ann: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_uploading", {ann.tenant.user_id})
    refused = await upload(ann, line("Tea."))
    assert (refused.status_code, "still running" in seen(refused)) == (409, True)


async def test_a_full_disk_is_said_in_a_sentence(ann: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("server.shell.uploads.shutil.copyfileobj", full)
    refused = await upload(ann, line("Tea."))
    assert (refused.status_code, "no space left for this file" in seen(refused)) == (503, True)


async def test_uploads_are_removed_after_a_day(ann: Visitor, settings: Settings) -> None:
    page = await uploaded(ann, line("Tea."))
    files = list((settings.data_dir / "uploads").rglob("upl_*"))
    assert len(files) == 2
    for path in files:
        os.utime(path, (0, 0))
    Uploads(settings.data_dir).remove_old()
    assert not any(path.exists() for path in files)
    assert (await ann.get(page)).status_code == 404


async def test_r28_no_name_becomes_a_path(ann: Visitor) -> None:
    await ann.remember("I like tea.")
    exported = (await ann.get(f"{ann.project}/export")).content
    names = {"..": "memories", ".. .. etc": "etc", "Größe.&'x": "gr-e-x", "-_'.&": "memories"}
    for name, file_name in names.items():
        body = {"name": name, "organization_id": ann.tenant.organization_id}
        project = (await ann.client.post("/api/projects", json=body)).json()["project_id"]
        file = await ann.get(f"/dashboard/projects/{project}/export")
        assert file.headers["content-disposition"].startswith(f'attachment; filename="{file_name}.jsonl"')
    for name in ("../../etc/passwd", "/etc/passwd", "C:\\x", "a\0b"):
        told = await upload(ann, exported, name)
        assert (told.status_code, "passwd" in told.headers["location"]) == (303, False)


async def test_a_file_with_an_invalid_line_is_refused_and_the_line_is_named(
    ann: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = '{"content": "fine", "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}'
    response = await upload(ann, f"{good}\n{{}}\n".encode())
    assert response.status_code == 400
    assert "line 2" in seen(response)
    assert "0 memories" in await ann.see(f"{ann.project}/memories")
    assert (await upload(ann, b"\xff\xfe")).status_code == 400
    assert (await upload(ann, b"")).status_code == 400
    monkeypatch.setattr(uploads, "FORM_BYTES", 10_000)
    assert (await upload(ann, b"x" * 10_100)).status_code == 413


async def test_a_long_name_keeps_its_ending(ann: Visitor) -> None:
    assert (await upload(ann, b"tea", f"{'x' * 252}.md")).status_code == 303


async def test_viewers_cannot_import(ann: Visitor, viewer: Visitor) -> None:
    file = b'{"content": "x", "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}'
    refused = await viewer.client.post(
        f"{ann.project}/transfer", files={"file": ("m.jsonl", file)}, headers={"Origin": ORIGIN}
    )
    assert refused.status_code == 403


async def upload(visitor: Visitor, content: bytes, name: str = "memories.jsonl") -> httpx.Response:
    files = {"file": (name, content)}
    return await visitor.client.post(f"{visitor.project}/transfer", files=files, headers={"Origin": ORIGIN})


async def uploaded(visitor: Visitor, content: bytes) -> str:
    """Upload a file and return the address of the page that shows what it holds."""
    response = await upload(visitor, content)
    assert response.status_code == 303, seen(response)
    return response.headers["location"]


async def import_all(visitor: Visitor, content: bytes) -> httpx.Response:
    """Upload the file and import all of it. Return the page after the end, however slow the machine is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uploads, "PATIENCE_SECONDS", 60)
        page = await uploaded(visitor, content)
        await visitor.do(page)
    return await visitor.get(page)


def line(content: str, **more: str) -> bytes:
    return json.dumps({"content": content, **more}).encode() + b"\n"


def conversation(title: str, question: str) -> dict[str, object]:
    said = {"author": {"role": "user"}, "content": {"content_type": "text", "parts": [question]}}
    return {
        "title": title,
        "create_time": 1.7e9,
        "mapping": {"a": {"message": said, "parent": None}},
        "current_node": "a",
    }


async def test_a_user_has_one_export_in_all_processes_of_a_machine(ann: Visitor, settings: Settings) -> None:
    folder = settings.data_dir / "exports"
    folder.mkdir()
    with (folder / f"{ann.tenant.user_id}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as another process does
        refused = await ann.get(f"{ann.project}/export")
        assert (refused.status_code, "still running" in seen(refused)) == (409, True)
    assert (await ann.get(f"{ann.project}/export")).status_code == 200
