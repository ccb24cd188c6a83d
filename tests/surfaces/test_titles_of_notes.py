"""A note's title, which an import keeps in the metadata, is the memory's name everywhere, and its words find it."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from server.index.upkeep import rewriting
from server.storage.database import Database
from tests.conftest import Tenant
from tests.rest.conftest import Caller
from tests.support.visitors import Visitor, seen
from tests.support.visitors import visit as visit
from tests.tools.conftest import MODERN, Mcp

TITLE, TEXT = "Zanzibar itinerary", "Bring the blue kayak."
NOTE = {"content": TEXT, "metadata": {"title": TITLE, "file": "trips/Zanzibar itinerary.md"}}


@pytest.fixture
def api(client: httpx.AsyncClient, alice: Tenant) -> Caller:
    return Caller(client, alice.auth)


@pytest.fixture
def mcp(client: httpx.AsyncClient, alice: Tenant) -> Mcp:
    return Mcp(client, alice.auth, MODERN)


@pytest.fixture
def ann(visit: Callable[[Tenant], Visitor], alice: Tenant) -> Visitor:
    return visit(alice)


async def store(api: Caller, **changes: Any) -> str:
    answer = await api.post("/api/memories", NOTE | changes)
    return str(answer.json()["memory_id"])


async def words(api: Caller, question: str) -> list[float]:
    """Return how much of the question the words of each result hold."""
    filters = {"explain": True, "threshold": 0}
    found = await api.results({"query": question, "filters": filters})
    return [round(result["match"]["words"], 2) for result in found]


@pytest.mark.parametrize("question", ["zanzibar", "itineraries", "zanzibar kayak"])
async def test_its_words_find_it(api: Caller, question: str) -> None:
    await store(api)
    assert await words(api, question) == [1.0]


async def test_the_words_of_its_labels_find_it(api: Caller) -> None:
    labels = {"tags": "home insurance, urgent", "people_mentioned": ["Sofía Marín"], "topic_category": "finances"}
    memory_id = await store(api, metadata=labels)
    for question in ("insurance", "sofia", "finances", "marin kayak"):
        assert await words(api, question) == [1.0]
    await api.client.patch(f"/api/memories/{memory_id}", json={"tags": ["travel"]}, headers=api.headers)
    assert await words(api, "insurance") == [0.0]
    assert await words(api, "travel kayak") == [1.0]


@pytest.mark.parametrize("aliases", [{"aliases": ["Stone Town", 1964]}, {"alias": "Stone Town, 1964"}])
async def test_the_words_of_its_other_names_find_it(api: Caller, aliases: dict[str, object]) -> None:
    memory_id = await store(api, metadata={"title": TITLE} | aliases)
    for question in ("stone town", "1964", "zanzibar kayak"):
        assert await words(api, question) == [1.0]
    await api.put(f"/api/memories/{memory_id}", {"metadata": {"title": TITLE, "aliases": ["Unguja"]}})
    assert await words(api, "unguja") == [1.0]
    assert sum(await words(api, "stone")) == 0


async def test_a_found_text_is_still_the_text_alone(api: Caller) -> None:
    await store(api)
    (found,) = await api.results({"query": "zanzibar", "filters": {"explain": True, "threshold": 0}})
    assert (found["content"], found["match"]["piece"]) == (TEXT, TEXT)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"title": TITLE, "speaker": "Anna"}, {"title": "Svalbard", "speaker": "Anna"}),
        ({}, {"title": "Svalbard"}),
        ({"title": "x" * 40 + " Zanzibar"}, {"title": "x" * 40 + " Svalbard"}),
    ],
)
async def test_a_new_title_replaces_its_words(api: Caller, before: dict[str, str], after: dict[str, str]) -> None:
    memory_id = await store(api, metadata=before)
    await api.put(f"/api/memories/{memory_id}", {"metadata": after})
    assert await words(api, "svalbard") == [1.0]
    assert sum(await words(api, "zanzibar")) == 0


async def test_a_new_title_of_a_very_long_note_replaces_its_words(api: Caller) -> None:
    long = {"messages": [{"role": f"u{number}", "content": "tea " * 2_400} for number in range(9)]}
    answer = await api.post("/api/memories", long | {"metadata": {"title": TITLE}})
    path = f"/api/memories/{answer.json()['memory_id']}"
    assert await words(api, "zanzibar") == [1.0]
    await api.put(path, {"metadata": {"title": "Svalbard"}})
    assert await words(api, "svalbard") == [1.0]
    assert sum(await words(api, "zanzibar")) == 0


async def test_its_words_are_written_again_with_those_of_the_text(api: Caller, database: Database) -> None:
    await store(api)
    list(rewriting.rewrite_all(database))
    assert await words(api, "zanzibar kayak") == [1.0]


async def test_assistants_are_told_it(api: Caller, mcp: Mcp) -> None:
    memory_id = await store(api)
    document = await mcp.call("fetch", id=memory_id)
    (found,) = (await mcp.call("search", query="kayak"))["results"]
    (listed,) = (await mcp.call("list_memories"))["results"]
    (resource,) = (await mcp.result("resources/list"))["resources"]
    assert {document["title"], found["title"], listed["title"], resource["title"]} == {TITLE}
    assert {document["text"], found["text"], listed["text"]} == {TEXT}


async def test_a_conversation_begins_with_it(api: Caller, mcp: Mcp) -> None:
    await store(api)
    known = (await api.get("/api/memories/context")).json()
    assert known["text"] == f"- {TITLE}: {TEXT}"
    assert (await mcp.call("context"))["text"].endswith(f"· {TITLE}: {TEXT}")
    assert len((await api.get("/api/memories/context?budget=60")).json()["text"]) <= 60


@pytest.mark.parametrize("text", [f"# {TITLE}\n{TEXT}", f"{TITLE}\nuser: {TEXT}", TITLE])
async def test_it_is_not_said_twice(api: Caller, ann: Visitor, text: str) -> None:
    await store(api, content=text)
    known = (await api.get("/api/memories/context")).json()
    assert known["text"].count(TITLE) == 1
    assert seen(await ann.get(f"{ann.project}/memories")).count(TITLE) == 1


async def test_pages_name_the_memory_by_it(api: Caller, ann: Visitor) -> None:
    memory_id = await store(api)
    assert TITLE in re.findall(r"<h1[^>]*>(.*?)</h1>", (await ann.get(f"/dashboard/memories/{memory_id}")).text)[0]
    page = await ann.get(f"{ann.project}/memories?q=zanzibar")
    assert "<mark>Zanzibar</mark> itinerary" in re.sub("</?b>", "", page.text)
    for path in ("memories", "activity"):
        assert TITLE in seen(await ann.get(f"{ann.project}/{path}")), path
    await api.delete(f"/api/memories/{memory_id}")
    assert TITLE in seen(await ann.get(f"{ann.project}/trash"))


@pytest.mark.parametrize("title", [["a"], True, None, "  ", {"a": 1}])
async def test_what_is_no_title_is_none(api: Caller, mcp: Mcp, title: object) -> None:
    memory_id = await store(api, metadata={"title": title})
    assert (await mcp.call("fetch", id=memory_id))["title"] == TEXT
