"""An open page is told when memories arrive, over few and short streams."""

import asyncio
import contextlib
import json

import httpx
import pytest

from server.dashboard.views import live
from server.web import streams
from tests.support.visitors import Visitor


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "STREAM_SECONDS", live.LOOK_EVERY_SECONDS)


async def test_a_page_learns_of_memories_that_arrived_since(ann: Visitor) -> None:
    first = await ann.remember("One.")
    page = await ann.get(f"{ann.project}/memories")
    assert f'data-live="{ann.project}/live?after={first}" hidden' in page.text
    quiet = await ann.get(f"{ann.project}/live?after={first}")
    assert quiet.headers["content-type"].startswith("text/event-stream")
    assert "data:" not in quiet.text
    await ann.remember("Two.")
    told = await ann.get(f"{ann.project}/live?after={first}")
    assert json.loads(told.text.partition("data: ")[2]) == {"memories": 1, "source": "all"}
    assert "retry: 4000" in told.text


async def test_other_people_learn_nothing(ann: Visitor, ben: Visitor) -> None:
    first = await ann.remember("One.")
    assert (await ben.get(f"{ann.project}/live?after={first}")).status_code == 404
    assert (await ann.get(f"{ann.project}/live?after=x")).status_code == 400


async def test_more_streams_than_there_is_room_for_are_refused_until_one_ends(ann: Visitor) -> None:
    first = await ann.remember("One.")
    with contextlib.ExitStack() as taken:
        for _ in range(streams.MOST_PER_PERSON):
            assert taken.enter_context(streams.opened(ann.tenant.user_id))
        refused = await ann.get(f"{ann.project}/live?after={first}")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
    for _ in range(streams.MOST_PER_PERSON + 1):
        assert (await ann.get(f"{ann.project}/live?after={first}")).status_code == 200


async def opened(ann: Visitor) -> "asyncio.Task[httpx.Response]":
    stream = asyncio.create_task(ann.get(f"{ann.project}/live?after={await ann.remember('One.')}"))
    while not streams._open:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.01)
    return stream


async def test_a_stream_ends_when_the_server_stops(ann: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "STREAM_SECONDS", 300)
    monkeypatch.setattr(live, "LOOK_EVERY_SECONDS", 30)
    stream = await opened(ann)
    streams.end_all()
    assert "data:" not in (await asyncio.wait_for(stream, 5)).text


async def test_a_stream_ends_at_the_next_look_after_its_session(ann: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "STREAM_SECONDS", 300)
    stream = await opened(ann)
    await ann.do("/sign-out")
    assert "data:" not in (await asyncio.wait_for(stream, live.LOOK_EVERY_SECONDS + 3)).text
