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


async def test_the_text_of_a_search_says_that_nothing_stored_is_near(mcp: Mcp) -> None:
    await mcp.add("Anna is allergic to walnuts.")
    far = await mcp.call("search", query="entangled photons leave twelve cold crystals behind every opaque mirror")
    assert far["weak"] is True
    assert "weak" not in await mcp.call("search", query="walnuts")


async def test_a_search_for_an_id_names_the_tool_that_reads_it(mcp: Mcp) -> None:
    memory_id = await mcp.add("Anna is allergic to walnuts.")
    for query in (memory_id, f"{ORIGIN}/dashboard/memories/{memory_id}"):
        found = await mcp.call("search", query=query)
        assert found["note"] == "A search does not look for ids: fetch reads this memory."
    assert "note" not in await mcp.call("search", query="walnuts")


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


async def test_a_tool_that_writes_answers_with_one_short_sentence(mcp: Mcp) -> None:
    memory_id = await mcp.add("Tea at five.")
    for tool, arguments in (
        ("add_memory", {"content": "Coffee at six."}),
        ("update_memory", {"id": memory_id, "content": "Tea at four."}),
        ("delete_memory", {"id": memory_id}),
    ):
        (content,) = (await mcp.result("tools/call", name=tool, arguments=arguments))["content"]
        assert content["text"].endswith(".")
        assert "\n" not in content["text"]
        assert len(content["text"]) < 100


async def test_fetch_returns_the_stored_memory(mcp: Mcp) -> None:
    memory_id = await mcp.add("Tea at five.", topic_category="habits", metadata={"source": "chat", "tags": "drinks"})
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
    page = await mcp.call("list_memories", limit=2, offset=1)
    assert [result["id"] for result in page["results"]] == [ids[3], ids[2]]
    assert page["total"] == 5
    assert [result["text"] for result in (await mcp.call("list_memories"))["results"]][-1] == "note 0"
    assert await mcp.call("list_memories", offset=5) == {"results": [], "total": 5}


async def test_tags_are_stored_as_rest_stores_them(mcp: Mcp, client: httpx.AsyncClient, alice: Tenant) -> None:
    labels = {"tags": ["a", "b"], "people_mentioned": ["Li"]}
    body = {"messages": [{"role": "user", "content": "x"}], "metadata": labels}
    answer = await client.post("/api/memories", json=body, headers=alice.auth)
    by_rest = await mcp.call("fetch", id=answer.json()["memory_id"])
    by_tool = await mcp.call("fetch", id=await mcp.add("y", **labels))
    assert by_tool["metadata"] == by_rest["metadata"]


async def test_an_update_merges_what_is_given(mcp: Mcp) -> None:
    about = {"source": {"kind": "chat", "number": 7}, "mood": "calm"}
    memory_id = await mcp.add("Tea at five.", tags="drinks", people_mentioned="Anna", metadata=about)
    await mcp.call("update_memory", id=memory_id, content="Tea at four.")
    await mcp.call("update_memory", id=memory_id, tags=["habits", "tea"])
    await mcp.call("update_memory", id=memory_id, metadata={"source": {"number": 8}, "mood": None})
    await mcp.call("update_memory", id=memory_id, topic_category="daily")
    changed = await mcp.call("fetch", id=memory_id)
    assert changed["text"] == "Tea at four."
    assert (changed["metadata"]["source"], "mood" in changed["metadata"]) == ({"kind": "chat", "number": 8}, False)
    for kept in ({"tags": "habits"}, {"people_mentioned": "Anna"}, {"topic_category": "daily"}):
        assert await mcp.found("tea", **kept) == ["Tea at four."]
    assert await mcp.found("tea", tags="drinks") == []


async def test_an_update_removes_labels(mcp: Mcp) -> None:
    memory_id = await mcp.add("Tea at five.", tags="drinks", people_mentioned="Anna", topic_category="daily")
    await mcp.call("update_memory", id=memory_id, tags=[], metadata={"people_mentioned": None})
    assert (await mcp.call("fetch", id=memory_id))["metadata"] == {"topic_category": "daily"}
    assert await mcp.found("tea", tags="drinks") == await mcp.found("tea", people_mentioned="Anna") == []


async def test_an_update_removes_the_category_as_its_description_says(mcp: Mcp) -> None:
    memory_id = await mcp.add("Tea at five.", topic_category="daily")
    (update,) = (tool for tool in (await mcp.result("tools/list"))["tools"] if tool["name"] == "update_memory")
    written = update["inputSchema"]["properties"]["topic_category"]["description"].partition("{")[2].partition("}")[0]
    await mcp.call("update_memory", id=memory_id, metadata=f"{{{written}}}")
    assert (await mcp.call("fetch", id=memory_id))["metadata"] == {}


async def test_an_update_that_would_make_the_metadata_too_large_is_refused(mcp: Mcp) -> None:
    memory_id = await mcp.add("Tea at five.", metadata={"a": "x" * 9_000})
    refused = await mcp.refusal("update_memory", id=memory_id, metadata={"b": "x" * 9_000})
    assert refused == "metadata: must be at most 16 KB."


async def test_json_text_stays_text(mcp: Mcp) -> None:
    memory_id = await mcp.add('["a", 1]')
    await mcp.call("update_memory", id=memory_id, content='{"b": 2}')
    assert (await mcp.call("fetch", id=memory_id))["text"] == '{"b": 2}'


async def test_a_deleted_memory_is_in_no_answer(mcp: Mcp) -> None:
    memory_id = await mcp.add("Tea at five.")
    assert (await mcp.call("delete_memory", id=memory_id))["memory_id"] == memory_id
    assert await mcp.found("tea") == []
    assert await mcp.call("list_memories") == {"results": [], "total": 0}
    assert await mcp.refusal("fetch", id=memory_id) == await mcp.refusal("delete_memory", id=memory_id)


async def test_096_a_stranger_gets_the_same_answer_as_for_an_unknown_memory(mcp: Mcp, stranger: Mcp) -> None:
    memory_id = await mcp.add("Tea at five.")
    never = memory_id[:-4] + ("0000" if memory_id[-4:] != "0000" else "1111")
    assert await stranger.found("tea") == []
    assert (await stranger.call("list_memories"))["total"] == 0
    for tool, arguments in (("fetch", {}), ("update_memory", {"content": "mine"}), ("delete_memory", {})):
        refused = await stranger.refusal(tool, id=memory_id, **arguments)
        assert refused == await stranger.refusal(tool, id=never, **arguments)
        assert "no memory with this id" in refused
    assert await mcp.found("tea") == ["Tea at five."]


async def test_096_r30_no_argument_selects_another_project(mcp: Mcp, stranger: Mcp, alice: Tenant) -> None:
    await mcp.add("Tea at five.")
    for tool, arguments in {"search": {"query": "tea"}, "list_memories": {}, "add_memory": {"content": "x"}}.items():
        for name in ("project_id", "projectId", "project", "organization_id", "user_id"):
            given = {**arguments, name: alice.user_id if name == "user_id" else alice.project_id}
            refused = await stranger.refusal(tool, **given)
            assert refused.startswith(f"{name} is not an argument of {tool}: your credential decides")
    assert await mcp.found("tea") == ["Tea at five."]


async def test_a_deletion_says_until_when_it_can_be_undone(mcp: Mcp) -> None:
    first, second = await mcp.add("x"), await mcp.add("y")
    message = (await mcp.call("delete_memory", id=first))["message"]
    assert message.startswith(f"Deleted {first}; it can be restored until 2")
    assert (await mcp.call("delete_memory", id=second, permanent=True))["message"] == f"Deleted {second} permanently."
