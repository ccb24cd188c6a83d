"""An open page is told when memories arrive, over few and short streams."""

import asyncio
import contextlib
import json

import pytest

from server import streams
from server.dashboard.views import live
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


async def test_a_stream_ends_with_its_session(ann: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "STREAM_SECONDS", 300)
    monkeypatch.setattr(live, "LOOK_EVERY_SECONDS", 30)
    path = f"{ann.project}/live?after={await ann.remember('One.')}"
    for end in (streams.wake_all, streams.end_all, None):
        stream = asyncio.create_task(ann.get(path))
        while not streams._open:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
        if end:
            end()
        else:
            await ann.do("/sign-out")
        if end is streams.wake_all:  # it looks, and goes on while the session lives
            await asyncio.sleep(0.05)
            assert not stream.done()
            streams.end_all()
        assert "data:" not in (await asyncio.wait_for(stream, 5)).text
