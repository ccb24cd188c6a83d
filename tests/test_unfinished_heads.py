"""A connection whose client never completes the head of a request is closed; its client may have vanished."""

import asyncio

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from server.commands.http_protocol import HttpProtocol
from tests.support.served import listening

HEAD_SECONDS = 1
SLOWER_SECONDS = 2.5


async def answer(_request: object) -> PlainTextResponse:
    return PlainTextResponse("at once")


async def answer_late(_request: object) -> PlainTextResponse:
    await asyncio.sleep(SLOWER_SECONDS)
    return PlainTextResponse("late")


async def received(*sent: bytes) -> bytes:
    """Return what the server sends until it closes the connection, after each of these parts was sent."""
    config = uvicorn.Config(
        Starlette(routes=[Route("/", answer), Route("/late", answer_late)]),
        http=HttpProtocol,
        lifespan="off",
        log_config=None,
        timeout_keep_alive=HEAD_SECONDS,
    )
    server, listener = uvicorn.Server(config), listening()
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
    for part in sent:
        writer.write(part)
        await asyncio.sleep(0.2)
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()
        server.should_exit = True
        await serving


@pytest.mark.parametrize("sent", [[], [b"G"], [b"GET / HTTP/1.1\r\n", b"Host:"]])
async def test_a_head_that_never_ends_closes_the_connection(sent: list[bytes]) -> None:
    assert await received(*sent) == b""


async def test_the_head_of_a_later_request_has_the_same_limit() -> None:
    assert (await received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /")).endswith(b"at once")


async def test_an_answer_may_take_longer_than_a_head() -> None:
    assert (await received(b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n")).endswith(b"late")
