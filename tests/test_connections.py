"""The server closes a connection whose client never completes the head of a request, sends too much that is not a
body, or reads nothing of its answer. So no client can use up what all connections share.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from server.commands import http_protocol
from server.commands.http_protocol import HttpProtocol
from tests.support.served import listening

HEAD_SECONDS = 1
SLOWER_SECONDS = 2.5
POST = b"POST /named HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


async def answer(_request: object) -> PlainTextResponse:
    return PlainTextResponse("at once")


async def answer_late(_request: object) -> PlainTextResponse:
    await asyncio.sleep(SLOWER_SECONDS)
    return PlainTextResponse("late")


async def answer_named(request: Request) -> PlainTextResponse:
    with suppress(ClientDisconnect):
        return PlainTextResponse(f"{len(await request.body())} bytes from {request.headers.get('x-api-key')}")
    return PlainTextResponse("gone")


LARGE_BYTES = 30_000_000


async def answer_large(_request: object) -> PlainTextResponse:
    return PlainTextResponse("a" * LARGE_BYTES)


ROUTES = [
    Route("/", answer),
    Route("/late", answer_late),
    Route("/large", answer_large),
    Route("/named", answer_named, methods=["POST"]),
]


@asynccontextmanager
async def connection() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server."""
    config = uvicorn.Config(
        Starlette(routes=ROUTES),
        http=HttpProtocol,
        lifespan="off",
        log_config=None,
        timeout_keep_alive=HEAD_SECONDS,
    )
    server, listener = uvicorn.Server(config), listening()
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
    try:
        async with asyncio.timeout(20):
            yield reader, writer
    finally:
        writer.transport.abort()
        server.should_exit = True
        await serving


async def received(*sent: bytes) -> bytes:
    """Return what the server sends until it closes the connection, after each of these parts was sent."""
    async with connection() as (reader, writer):
        for part in sent:
            writer.write(part)
            await asyncio.sleep(0.2)
        return await reader.read()


async def received_each(sendings: Iterable[Sequence[bytes]]) -> list[bytes]:
    """Return what `received` does for each, which wait for the end of their connections together."""
    return await asyncio.gather(*(received(*sent) for sent in sendings))


async def test_a_head_that_never_ends_closes_the_connection() -> None:
    assert await received_each([[], [b"G"], [b"GET / HTTP/1.1\r\n", b"Host:"]]) == [b""] * 3


async def test_the_head_of_a_later_request_has_the_same_limit() -> None:
    assert (await received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /")).endswith(b"at once")


async def test_a_request_for_no_host_or_for_two_is_refused() -> None:
    """A proxy and the application could each go by another host."""
    hosts = (b"", b"Host: a\r\nhost: b\r\n", b"Host: a\r\nHost: a\r\n")
    for answered in await received_each([b"GET / HTTP/1.1\r\n" + named + b"\r\n"] for named in hosts):
        assert answered.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert b"one Host header" in answered


async def test_a_request_of_http_1_0_needs_no_host() -> None:
    assert (await received(b"GET / HTTP/1.0\r\n\r\n")).endswith(b"at once")


async def test_a_new_connection_takes_the_place_of_the_one_that_waits_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a client that keeps many connections open would keep everybody else out."""
    monkeypatch.setattr(http_protocol, "most_connections", lambda: 4)
    async with connection() as (late, busy):
        busy.write(b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
        address = busy.get_extra_info("peername")
        sent = [b"GET /", b"", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"]
        waiting = [await asyncio.open_connection(*address) for _ in sent]
        for (_, writer), part in zip(waiting, sent, strict=True):
            writer.write(part)
        assert await waiting[2][0].readuntil(b"at once")
        others = [await asyncio.open_connection(*address) for _ in sent]
        async with asyncio.timeout(HEAD_SECONDS / 2):
            assert [await reader.read() for reader, _ in waiting] == [b"", b"", b""]
        for reader, writer in others:
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert (await reader.read()).endswith(b"at once")
        assert await late.readuntil(b"late")
        for _, writer in (*waiting, *others):
            writer.close()


@pytest.mark.parametrize("begun", [POST, POST + b"5\r\nab", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + POST])
async def test_a_connection_whose_body_does_not_come_gives_way_too(
    monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    """A complete head alone must not keep a place until the body is overdue."""
    monkeypatch.setattr(http_protocol, "most_connections", lambda: 4)
    async with connection() as (late, busy), AsyncExitStack() as opened:
        busy.write(b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n" + POST)
        address = busy.get_extra_info("peername")
        for _ in range(6):
            _, owing = await asyncio.open_connection(*address)
            opened.callback(owing.close)
            owing.write(begun)
            await asyncio.sleep(0.02)
        reader, writer = await asyncio.open_connection(*address)
        opened.callback(writer.close)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"at once")
        assert await late.readuntil(b"late")


async def test_an_answer_may_take_longer_than_a_head() -> None:
    assert (await received(b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n")).endswith(b"late")


async def test_a_body_that_never_ends_closes_the_connection_after_the_answer() -> None:
    """A stranger could keep any number of connections with one byte each."""
    head = b"POST /nowhere HTTP/1.1\r\nHost: a\r\n"
    begun = ([head + b"Content-Length: 1000\r\n\r\n", b"a"], [POST.replace(b"named", b"nowhere"), b"1\r\na\r\n"])
    for answered in await received_each(begun):
        assert answered.endswith(b"Not Found")


async def test_a_body_that_ends_after_the_answer_gives_way_to_the_next_request() -> None:
    begun = b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"
    assert (await received(begun, b"a", b"aGET /late HTTP/1.1\r\nHost: a\r\n\r\n")).endswith(b"late")


@pytest.mark.parametrize(
    "flood",
    [
        b"GET / HTTP/1.1\r\n" + (b"X-A: " + b"b" * 1_000 + b"\r\n") * 64,
        b"GET / HTTP/1.1\r\nX-A: " + b"b" * 64_000,
        b"GET / HTTP/1.1\r\n" + b"X" * 64_000,
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",
    ],
    ids=["many headers", "a long value", "a long name", "a long URL"],
)
async def test_a_head_that_is_too_large_is_refused_before_it_ends(flood: bytes) -> None:
    assert b"400 Bad Request" in (await received(flood)).partition(b"\r\n")[0]


@pytest.mark.parametrize(
    "flood",
    [b"0\r\nX-A: " + b"b" * 64_000, b"1;" + b"b" * 64_000, b"0\r\n" + b"X-A: b\r\n" * 8_001],
    ids=["a trailer", "a chunk extension", "many trailers"],
)
async def test_what_is_sent_beside_a_body_has_a_limit_too(flood: bytes) -> None:
    assert b"400 Bad Request" in (await received(POST + b"1\r\na\r\n", flood)).partition(b"\r\n")[0]


async def test_a_body_has_no_limit_here() -> None:
    body = b"a" * 400_000
    assert (await received(POST + b"%x\r\n%s\r\n" % (len(body), body) * 2 + b"0\r\n\r\n")).endswith(
        b"800000 bytes from None"
    )


async def test_a_trailer_is_no_header() -> None:
    """RFC 9110 section 6.5.1: a proxy that checks or sets a header does not look at trailers."""
    answer = await received(POST + b"1\r\na\r\n0\r\nX-API-Key: smuggled\r\n\r\n")
    assert answer.endswith(b"1 bytes from None")


BODY = b'{"note": "kept"}'
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAA\r\n"
HEADS = {
    "length": b"POST /named HTTP/1.1\r\nHost: a\r\n%sX-API-Key: k\r\nContent-Length: 16\r\n\r\n" % UPGRADE,
    "chunks": b"POST /named HTTP/1.1\r\nHost: a\r\n%sX-API-Key: k\r\nTransfer-Encoding: chunked\r\n\r\n" % UPGRADE,
    "close": b"POST /named HTTP/1.1\r\nHost: a\r\nConnection: close, upgrade\r\nUpgrade: websocket\r\n"
    b"X-API-Key: k\r\nContent-Length: 16\r\n\r\n",
}


@pytest.mark.parametrize("name", HEADS)
async def test_a_request_that_offers_another_protocol_keeps_its_body(name: str) -> None:
    """Java's HTTP client offers HTTP/2 in each first request over plain http (RFC 9110 section 7.8)."""
    head = HEADS[name]
    body = b"10\r\n%s\r\n0\r\n\r\n" % BODY if name == "chunks" else BODY
    sendings = ([head + body], [head, body], [head[:30], head[30:-3], head[-3:] + body[:5], body[5:]])
    for answered in await received_each(sendings):
        assert answered.endswith(b"16 bytes from k")


async def test_the_body_of_a_request_that_offers_another_protocol_is_no_request() -> None:
    """A proxy has checked one request, so the server must not see two."""
    inner = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    head = b"POST /named HTTP/1.1\r\nHost: a\r\n%sContent-Length: %d\r\n\r\n" % (UPGRADE, len(inner))
    answer = await received(head, inner)
    assert answer.count(b"HTTP/1.1 200") == 1
    assert answer.endswith(b"%d bytes from None" % len(inner))


async def test_requests_around_one_that_offers_another_protocol_are_answered() -> None:
    get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    offering = b"GET / HTTP/1.1\r\nHost: a\r\n%s\r\n" % UPGRADE
    assert (await received(get + HEADS["length"] + BODY + offering + get)).count(b"HTTP/1.1 200") == 4


async def test_a_connection_queues_only_a_few_requests() -> None:
    request = b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n"
    few, many = await received_each([[request * 2], [request * 100]])
    assert (few.count(b"late"), many.count(b"late")) == (2, 0)


async def test_an_answer_that_nobody_reads_closes_the_connection() -> None:
    async with connection() as one, connection() as three:
        for (_, writer), requests in ((one, 1), (three, 3)):
            writer.write(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n" * requests)
        await asyncio.sleep(3 * HEAD_SECONDS)
        for reader, _ in (one, three):
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await reader.readexactly(LARGE_BYTES)


async def test_answers_that_are_read_slowly_wait_in_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that reads a byte now and then could keep any number of large answers in memory."""
    monkeypatch.setattr(http_protocol, "MOST_UNREAD_BYTES", 3 * LARGE_BYTES)
    get = b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    async with connection() as (reader, writer):
        address = writer.get_extra_info("peername")[:2]
        slow = [await asyncio.open_connection(*address) for _ in range(6)]
        for _, other in slow:
            other.write(get)
        writer.write(get)
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(LARGE_BYTES)
        whole = [await asyncio.gather(other.read(-1), return_exceptions=True) for other, _ in slow]
        assert 1 <= sum(isinstance(text, bytes) and len(text) > LARGE_BYTES for [text] in whole) <= 3
        for _, other in slow:
            other.transport.abort()


async def test_an_answer_may_be_read_slowly() -> None:
    async with connection() as (reader, writer):
        writer.write(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(10):
            await reader.readexactly(LARGE_BYTES // 10)
            await asyncio.sleep(HEAD_SECONDS / 3)
