"""Export and import of a project's memories as a file."""

import asyncio
import contextlib

import httpx
from starlette.types import ASGIApp, Message

from server.database import Database
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
    assert (await upload(ann, exported + exported)).status_code == 200
    events = (await ann.client.get(f"/api/organizations/{ann.tenant.organization_id}/audit")).json()["events"]
    imported, exported_event = events[:2]
    assert (imported["type"], imported["actor_id"]) == ("memories.imported", ann.tenant.user_id)
    assert (exported_event["type"], exported_event["actor_id"]) == ("memories.exported", viewer.tenant.user_id)
    for event, count in ((imported, 2), (exported_event, 1)):
        assert event["target"] == ann.tenant.project_id
        assert event["metadata"].pop("credential_id").startswith("ses_")
        assert event["metadata"] == {"count": count, "credential": "session"}
    activity = await ann.see(f"{ann.organization}/activity")
    assert "Memories imported" in activity
    assert "Memories exported" in activity


async def test_an_export_can_be_imported(ann: Visitor, ben: Visitor) -> None:
    for text in ("Anna likes the window.", "Größe, 大小, <b>"):
        await ann.remember(text, tags="a,b")
    file = await ann.get(f"{ann.project}/export")
    assert file.headers["content-disposition"] == 'attachment; filename="my-memories.jsonl"'
    assert len(file.text.splitlines()) == 2
    response = await upload(ben, file.content)
    assert response.status_code == 200
    assert "2 of 2 memories read" in seen(response)
    assert "2 memories imported" in seen(response)
    assert "Größe, 大小, <b>" in await ben.see(f"{ben.project}/memories")


async def test_r28_no_name_becomes_a_path(ann: Visitor) -> None:
    await ann.remember("I like tea.")
    exported = (await ann.get(f"{ann.project}/export")).content
    names = {"..": "memories", ".. .. etc": "etc", "Größe.&'x": "gr-e-x", "-_'.&": "memories"}
    for name, file_name in names.items():
        body = {"name": name, "organization_id": ann.tenant.organization_id}
        project = (await ann.client.post("/api/projects", json=body)).json()["project_id"]
        file = await ann.get(f"/dashboard/projects/{project}/export")
        assert file.headers["content-disposition"] == f'attachment; filename="{file_name}.jsonl"'
    for name in ("../../etc/passwd", "/etc/passwd", "C:\\x", "a\0b"):
        told = await upload(ann, exported, name)
        assert (told.status_code, "passwd" in told.text) == (200, False)


async def test_a_file_with_an_invalid_line_is_refused_and_the_line_is_named(ann: Visitor) -> None:
    good = '{"content": "fine", "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}'
    response = await upload(ann, f"{good}\n{{}}\n".encode())
    assert response.status_code == 400
    assert "line 2" in seen(response)
    assert "0 memories" in await ann.see(f"{ann.project}/memories")
    assert (await upload(ann, b"\xff\xfe")).status_code == 400
    assert (await upload(ann, b"")).status_code == 400
    assert (await upload(ann, b"x" * 10_100_000)).status_code == 413


async def test_viewers_cannot_import(ann: Visitor, viewer: Visitor) -> None:
    file = b'{"content": "x", "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}'
    refused = await viewer.client.post(
        f"{ann.project}/transfer", files={"file": ("m.jsonl", file)}, headers={"Origin": ORIGIN}
    )
    assert refused.status_code == 403


async def upload(visitor: Visitor, content: bytes, name: str = "memories.jsonl") -> httpx.Response:
    files = {"file": (name, content)}
    return await visitor.client.post(f"{visitor.project}/transfer", files=files, headers={"Origin": ORIGIN})
