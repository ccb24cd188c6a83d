"""What each tool accepts, does and answers."""

import json
from datetime import datetime

import httpx
import pytest

from tests.conftest import ORIGIN, Tenant
from tests.tools.conftest import MODERN, Mcp


async def test_an_added_memory_is_found_by_the_next_search(mcp: Mcp) -> None:
    memory_id = await mcp.add("Anna is allergic to walnuts.")
    (result,) = (await mcp.call("search", query="walnuts"))["results"]
    assert (result["id"], result["text"]) == (memory_id, "Anna is allergic to walnuts.")
    assert 0 < result["score"] <= 1
    assert datetime.fromisoformat(result["created_at"]).utcoffset() is not None
    assert result["created_at"].endswith("Z")


@pytest.mark.parametrize(("tool", "arguments"), [("search", {"query": "tea"}), ("fetch", {"id": ""})])
async def test_c16_the_text_of_search_and_fetch_is_one_item_with_the_same_json(
    mcp: Mcp, tool: str, arguments: dict[str, str]
) -> None:
    memory_id = await mcp.add("Tea at five.\nNot coffee, “never”.", metadata={"source": ["chat", 7, None]})
    given = {**arguments, "id": memory_id} if tool == "fetch" else arguments
    result = await mcp.result("tools/call", name=tool, arguments=given)
    (content,) = result["content"]
    assert content["type"] == "text"
    assert json.loads(content["text"]) == result["structuredContent"]


async def test_the_other_tools_answer_with_one_short_sentence(mcp: Mcp) -> None:
    memory_id = await mcp.add("Tea at five.")
    for tool, arguments in (
        ("list", {}),
        ("add", {"content": "Coffee at six."}),
        ("update", {"id": memory_id, "content": "Tea at four."}),
        ("delete", {"id": memory_id}),
    ):
        (content,) = (await mcp.result("tools/call", name=tool, arguments=arguments))["content"]
        assert content["text"].endswith(".")
        assert "\n" not in content["text"]
        assert len(content["text"]) < 80


async def test_fetch_returns_the_stored_memory(mcp: Mcp) -> None:
    memory_id = await mcp.add("Tea at five.", tags=["drinks"], topic_category="habits", metadata={"source": "chat"})
    assert await mcp.call("fetch", id=memory_id) == {
        "id": memory_id,
        "title": "Tea at five.",
        "text": "Tea at five.",
        "url": f"{ORIGIN}/dashboard/memories/{memory_id}",
        "metadata": {"tags": "drinks", "topic_category": "habits", "source": "chat"},
    }


async def test_a_title_is_the_beginning_of_the_first_line(mcp: Mcp) -> None:
    memory_id = await mcp.add("\n  A day in Rome\nWe walked a lot.")
    assert (await mcp.call("fetch", id=memory_id))["title"] == "A day in Rome"
    memory_id = await mcp.add("Rome " * 100)
    title = (await mcp.call("fetch", id=memory_id))["title"]
    assert title.startswith("Rome Rome")
    assert title.endswith("…")
    assert len(title) <= 80


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"tags": "WORK, play"}, ["Anna plans", "Ben plans"]),
        ({"tags": ["work"]}, ["Anna plans"]),
        ({"tags": '["work"]'}, ["Anna plans"]),  # some clients send a list as text
        ({"people_mentioned": "Ben"}, ["Ben plans"]),
        ({"people_mentioned": ["Be"]}, []),
        ({"topic_category": "Health"}, ["Ben plans"]),
        ({"temporal_filter": "today"}, ["Anna plans", "Ben plans"]),
        ({"temporal_filter": "2020-01-01..2020-12-31"}, []),
        ({"threshold": 1}, []),
        ({"tags": None, "limit": None}, ["Anna plans", "Ben plans"]),  # null means absent
    ],
)
@pytest.mark.parametrize("revision", [MODERN])
async def test_a_search_applies_its_filters(mcp: Mcp, filters: dict[str, object], found: list[str]) -> None:
    await mcp.add("Anna plans", tags="work, home", people_mentioned="Anna")
    await mcp.add("Ben plans", tags=["play"], people_mentioned=["Ben", "Bea"], topic_category="health")
    assert sorted(await mcp.found("the plans", **filters)) == found


async def test_an_empty_query_gives_the_newest(mcp: Mcp) -> None:
    for number in range(3):
        await mcp.add(f"note {number}")
    assert await mcp.found("", limit=2) == ["note 2", "note 1"]


async def test_list_pages_newest_first(mcp: Mcp) -> None:
    ids = [await mcp.add(f"note {number}") for number in range(5)]
    page = await mcp.call("list", limit=2, offset=1)
    assert [result["id"] for result in page["results"]] == [ids[3], ids[2]]
    assert page["total"] == 5
    assert [result["text"] for result in (await mcp.call("list"))["results"]][-1] == "note 0"
    assert await mcp.call("list", offset=5) == {"results": [], "total": 5}


async def test_tags_are_stored_as_rest_stores_them(mcp: Mcp, client: httpx.AsyncClient, alice: Tenant) -> None:
    body = {"messages": [{"role": "user", "content": "x"}], "metadata": {"tags": "a, b", "people_mentioned": ["Li"]}}
    answer = await client.post("/api/memories", json=body, headers=alice.auth)
    by_rest = await mcp.call("fetch", id=answer.json()["memory_id"])
    by_tool = await mcp.call("fetch", id=await mcp.add("x", tags="a, b", people_mentioned=["Li"]))
    assert by_tool["metadata"] == by_rest["metadata"]


async def test_an_update_replaces_only_the_given_fields(mcp: Mcp) -> None:
    memory_id = await mcp.add("Tea at five.", tags="drinks")
    assert (await mcp.call("update", id=memory_id, content="Tea at four."))["memory_id"] == memory_id
    changed = await mcp.call("fetch", id=memory_id)
    assert (changed["text"], changed["metadata"]) == ("Tea at four.", {"tags": "drinks"})
    await mcp.call("update", id=memory_id, metadata={"tags": ["habits", "tea"]})
    changed = await mcp.call("fetch", id=memory_id)
    assert (changed["text"], changed["metadata"]) == ("Tea at four.", {"tags": "habits,tea"})
    assert await mcp.found("tea", tags="habits") == ["Tea at four."]
    assert await mcp.found("tea", tags="drinks") == []


async def test_json_text_stays_text(mcp: Mcp) -> None:
    memory_id = await mcp.add('["a", 1]')
    await mcp.call("update", id=memory_id, content='{"b": 2}')
    assert (await mcp.call("fetch", id=memory_id))["text"] == '{"b": 2}'


async def test_a_deleted_memory_is_in_no_answer(mcp: Mcp) -> None:
    memory_id = await mcp.add("Tea at five.")
    assert (await mcp.call("delete", id=memory_id))["memory_id"] == memory_id
    assert await mcp.found("tea") == []
    assert await mcp.call("list") == {"results": [], "total": 0}
    assert await mcp.refusal("fetch", id=memory_id) == await mcp.refusal("delete", id=memory_id)


async def test_096_a_stranger_gets_the_same_answer_as_for_an_unknown_memory(mcp: Mcp, stranger: Mcp) -> None:
    memory_id = await mcp.add("Tea at five.")
    never = memory_id[:-4] + ("0000" if memory_id[-4:] != "0000" else "1111")
    assert await stranger.found("tea") == []
    assert (await stranger.call("list"))["total"] == 0
    for tool, arguments in (("fetch", {}), ("update", {"content": "mine"}), ("delete", {})):
        refused = await stranger.refusal(tool, id=memory_id, **arguments)
        assert refused == await stranger.refusal(tool, id=never, **arguments)
        assert "no memory with this id" in refused
    assert await mcp.found("tea") == ["Tea at five."]


async def test_096_r30_no_argument_selects_another_project(mcp: Mcp, stranger: Mcp, alice: Tenant) -> None:
    await mcp.add("Tea at five.")
    for tool, arguments in (("search", {"query": "tea"}), ("list", {}), ("add", {"content": "Tea at six."})):
        for name in ("project_id", "project", "organization_id", "user_id"):
            given = {**arguments, name: alice.user_id if name == "user_id" else alice.project_id}
            answer = await stranger.send("tools/call", {"name": tool, "arguments": given})
            assert "at five" not in answer.text, given
    assert await mcp.found("tea") == ["Tea at five."]


async def test_an_answer_has_a_bound_in_bytes_and_says_what_had_no_room(mcp: Mcp) -> None:
    messages = [{"role": "user", "content": '"' * 9_999 + "."} for _ in range(40)]
    body = {"memories": [{"messages": [{"role": "user", "content": f"walnut {n}"}, *messages]} for n in range(6)]}
    added = await mcp.client.post("/api/memories/batch", json=body, headers=mcp.headers)
    assert added.status_code == 200, added.text
    for tool, arguments in (("search", {"query": "walnut"}), ("search", {"query": ""}), ("list", {})):
        answer = await mcp.send("tools/call", {"name": tool, "arguments": arguments})
        assert len(answer.content) <= 4_000_000
        answered = answer.json()["result"]["structuredContent"]
        shown = len(answered["results"])
        assert 0 < shown < 6
        if tool == "search":
            assert answered["omitted"] == 6 - shown
        else:
            assert f"go on with offset {shown}." in answer.json()["result"]["content"][0]["text"]
            rest = await mcp.call("list", offset=shown)
            assert not {one["id"] for one in rest["results"]} & {one["id"] for one in answered["results"]}
