"""A client that leaves in the middle of its request is no bug of the server: one line in the log, and no traceback."""

import logging

import httpx
import pytest
from starlette.types import ASGIApp, Message

from tests.conftest import ORIGIN, Tenant
from tests.support.visitors import Visitor

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


async def leave(app: ASGIApp, request: httpx.Request, part: bytes = b'{"content":') -> None:
    """Send a part of the body, and disconnect."""
    parts: list[Message] = [{"type": "http.request", "body": part, "more_body": True}]

    async def receive() -> Message:
        return parts.pop() if parts else {"type": "http.disconnect"}

    async def send(_message: Message) -> None: ...

    scope = {
        "type": "http", "method": "POST", "path": request.url.path, "query_string": b"", "client": ("127.0.0.1", 1),
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
    }  # fmt: skip
    await app(scope, receive, send)


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/api/memories", JSON), ("/mcp", JSON), ("/oauth/token", FORM), ("/oauth/register", JSON), ("/sign-in", FORM)],
)
async def test_who_leaves_a_request_costs_one_line(
    app: ASGIApp, client: httpx.AsyncClient, alice: Tenant, caplog: pytest.LogCaptureFixture, path: str, kind: str
) -> None:
    headers = {"content-type": kind, "accept": "application/json, text/event-stream", **alice.auth}
    with caplog.at_level(logging.INFO):
        await leave(app, client.build_request("POST", path, headers=headers))
    assert [(record.getMessage(), record.exc_info) for record in caplog.records] == [("request", None)]


async def test_who_leaves_an_upload_may_upload_again(
    app: ASGIApp, ann: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    page = f"{ann.project}/transfer"
    kind = {"content-type": "multipart/form-data; boundary=x", "origin": ORIGIN}
    with caplog.at_level(logging.INFO):
        await leave(app, ann.client.build_request("POST", page, headers=kind), b"--x\r\n")
    assert [(record.getMessage(), record.exc_info) for record in caplog.records] == [("request", None)]
    answer = await ann.client.post(page, files={"file": ("tea.txt", b"Tea.")}, headers={"Origin": ORIGIN})
    assert answer.status_code != 409
