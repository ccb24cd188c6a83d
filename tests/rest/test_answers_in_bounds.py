"""Answers have a maximum size, and say where to continue. Versions keep only what changed."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from sqlmodel import col

from server.models import AuditEvent, MemoryVersion, TrashedMemory
from server.storage.database import Database
from tests.conftest import Tenant
from tests.rest.conftest import Caller
from tests.support.tables import rows

ANSWER_BYTES = 4_000_000


async def add_large(api: Caller, count: int = 1, letter: str = "x", **more: object) -> list[str]:
    """Store memories of one megabyte each (of four if the letter has four bytes), and return their ids in order."""
    ids = []
    for number in range(count):
        messages = [{"role": "user", "content": f"memory {number}"}]
        messages += [{"role": "user", "content": letter * 9_999 + "."} for _ in range(99)]
        answer = await api.post("/api/memories/batch", {"memories": [{"messages": messages, **more}]})
        assert answer.status_code == 200, answer.text
        ids.append(answer.json()["results"][0]["memory_id"])
    return ids


async def follow(api: Caller, path: str | None) -> tuple[list[dict[str, Any]], int]:
    """Return all results from `path` on, and the number of answers. None of several may be too large."""
    results: list[dict[str, Any]] = []
    answers = 0
    while path:
        answer = await api.get(path)
        assert answer.status_code == 200, answer.text
        assert len(answer.content) <= ANSWER_BYTES or len(answer.json()["results"]) == 1
        results += answer.json()["results"]
        path = answer.json().get("next")
        answers += 1
    return results, answers


def versions_kept(database: Database) -> list[tuple[int, bool, bool]]:
    """The stored versions, newest first: the number, and whether the row holds a text and metadata."""
    with database.read() as session:
        rows = session.execute(sa.text("SELECT version, content, metadata FROM memory_versions ORDER BY version DESC"))
        return [(version, content is not None, metadata is not None) for version, content, metadata in rows]


async def test_a_version_keeps_only_what_changed_and_reads_as_it_was(api: Caller, database: Database) -> None:
    memory_id = await api.add("first", metadata={"tags": "a"})
    path = f"/api/memories/{memory_id}"
    changes: tuple[dict[str, object], ...] = ({"metadata": {"tags": "b"}}, {"metadata": {}}, {"text": "second"},
                   {"text": "second", "metadata": {"n": 1}}, {"text": "third", "metadata": {"n": True}})  # fmt: skip
    for change in changes:
        assert (await api.put(path, change)).status_code == 200
    assert versions_kept(database) == [
        (5, True, True), (4, False, True), (3, True, False), (2, False, True), (1, False, True),
    ]  # fmt: skip
    versions = (await api.get(f"{path}/history")).json()["results"]
    assert [(version["version"], version["content"], version["metadata"]) for version in versions] == [
        (6, "third", {"n": True}),
        (5, "second", {"n": 1}),
        (4, "second", {}),
        (3, "first", {}),
        (2, "first", {"tags": "b"}),
        (1, "first", {"tags": "a"}),
    ]


async def test_a_memory_keeps_its_last_fifty_versions(api: Caller) -> None:
    memory_id = await api.add("first", metadata={"n": 0})
    for number in range(1, 56):
        assert (await api.put(f"/api/memories/{memory_id}", {"metadata": {"n": number}})).status_code == 200
    versions, answers = await follow(api, f"/api/memories/{memory_id}/history")
    assert [version["version"] for version in versions] == list(range(56, 5, -1))
    assert [version["metadata"]["n"] for version in versions] == list(range(55, 4, -1))
    assert {version["content"] for version in versions} == {"first"}
    assert answers == 3


async def test_the_history_pages_from_the_newest_version_on(api: Caller) -> None:
    memory_id = await api.add("text 1", metadata={"n": 1})
    path = f"/api/memories/{memory_id}"
    for number in range(2, 8):
        await api.put(path, {"text": f"text {number}"} if number % 2 else {"metadata": {"n": number}})
    whole, _ = await follow(api, f"{path}/history")
    for limit in (1, 2, 3):
        assert (await follow(api, f"{path}/history?limit={limit}"))[0] == whole
    page = (await api.get(f"{path}/history?limit=2&before=5")).json()
    assert page == {"results": whole[3:5], "next": f"{path}/history?limit=2&before=3"}
    assert (await api.get(f"{path}/history?before=1")).json() == {"results": []}
    for query in ("limit=0", "limit=101", "limit=x", "before=0", "before=x"):
        refused = await api.get(f"{path}/history?{query}")
        assert (refused.status_code, refused.json()["detail"].partition(":")[0]) == (400, query.partition("=")[0])


async def test_changes_of_metadata_make_no_history_of_megabytes(api: Caller, database: Database) -> None:
    """Each change stored a copy of the whole text, and one answer held them all."""
    (memory_id,) = await add_large(api)
    for number in range(8):
        changed = await api.put(f"/api/memories/{memory_id}", {"metadata": {"n": number}})
        assert changed.status_code == 200
    with database.read() as session:
        stored = session.scalar(sa.select(sa.func.coalesce(sa.func.sum(sa.func.length(col(MemoryVersion.content))), 0)))
    assert stored == 0
    versions, answers = await follow(api, f"/api/memories/{memory_id}/history")
    assert [version["version"] for version in versions] == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert {len(version["content"]) for version in versions} == {len(changed.json()["content"])}
    assert answers > 1


@pytest.mark.sqlite_only
async def test_a_list_has_at_most_four_megabytes_and_goes_on_where_it_stopped(api: Caller) -> None:
    other = await api.add("not this one", metadata={"tags": "b"}, created_at="2020-01-01")
    newest_first = (await add_large(api, 6, metadata={"tags": ["a", "b, c"]}, user_id="u 1"))[::-1]
    for query, wanted in {
        "limit=1000": [*newest_first, other],
        "limit=5&offset=1": newest_first[1:6],
        "limit=1000&tags=a&user_id=u%201": newest_first,
        'limit=1000&tags=["a","b, c"]&match_all_tags=true': newest_first,
    }.items():
        first = await api.get(f"/api/memories?{query}")
        assert len(first.content) <= ANSWER_BYTES
        assert first.json()["next"].startswith("/api/memories?")
        newer = await api.add("a newer one", metadata={"tags": ["a", "b, c"]}, user_id="u 1")
        following, _ = await follow(api, first.json()["next"])
        assert [memory["id"] for memory in [*first.json()["results"], *following]] == wanted
        await api.delete(f"/api/memories/{newer}")


async def test_the_trash_has_at_most_four_megabytes_an_answer_and_goes_on(api: Caller, database: Database) -> None:
    deleted: list[str] = []
    for number in range(6):
        memory_id = await api.add(f"memory {number}", user_id="u 1")
        await api.delete(f"/api/memories/{memory_id}")
        deleted.insert(0, memory_id)
    with database.write() as session:
        for row in session.scalars(sa.select(TrashedMemory)):
            row.memory = row.memory | {"content": "x" * 990_000}
    for query, wanted in {"": deleted, "?limit=5&offset=1&user_id=u%201": deleted[1:]}.items():
        results, answers = await follow(api, f"/api/memories/trash{query}")
        assert ([memory["id"] for memory in results], answers) == (wanted, 2)
    assert "next" not in (await api.get("/api/memories/trash?limit=1")).json()


@pytest.mark.sqlite_only
async def test_an_answer_that_fits_says_nothing_of_a_next_one(api: Caller) -> None:
    for number in range(3):
        await api.add(f"memory {number}")
    assert "next" not in (await api.get("/api/memories?limit=2")).json()
    assert "omitted" not in (await api.post("/api/memories/search", {"query": "memory"})).json()


@pytest.mark.sqlite_only
async def test_a_memory_that_is_larger_than_an_answer_is_still_answered(api: Caller) -> None:
    ids = [*await add_large(api, letter="🎈"), await api.add("memory 1 " + "🎈" * 9_990)]
    results, answers = await follow(api, "/api/memories")
    assert ([memory["id"] for memory in results], answers) == (ids[::-1], 2)
    found = (await api.post("/api/memories/search", {"query": "memory 0"})).json()
    assert (len(found["results"]), found["omitted"]) == (1, 1)
    one = await api.get(f"/api/memories/{ids[0]}")
    assert one.status_code == 200
    assert len(one.content) > ANSWER_BYTES
    assert (await follow(api, f"/api/memories/{ids[0]}/history"))[0][0]["content"] == one.json()["content"]


@pytest.mark.sqlite_only
async def test_a_search_has_at_most_four_megabytes_and_counts_what_it_left_out(api: Caller) -> None:
    await add_large(api, 5, metadata={"tags": "a"})
    searches: list[tuple[str, dict[str, object]]] = [
        ("/api/memories/search", {"query": "memory", "limit": 100}),
        ("/api/memories/search", {"query": "", "limit": 100}),
        ("/api/memories/search", {"query": "memory", "filters": {"tags": "a", "explain": True}}),
        ("/v1/memories/tag-search/", {"tags": ["a"], "semantic_query": "memory", "limit": 100}),
    ]
    for path, body in searches:
        answer = await api.post(path, body)
        assert answer.status_code == 200
        assert len(answer.content) <= ANSWER_BYTES
        assert len(answer.json()["results"]) + answer.json()["omitted"] == 5
        assert len(answer.json()["results"]) >= 2
    found = (await api.post("/api/memories/search", {"query": "memory", "limit": 2})).json()
    assert len(found["results"]) == 2
    assert "omitted" not in found, "the limit left out the others, not the size"


@pytest.mark.sqlite_only
async def test_a_list_has_each_text_once(api: Caller) -> None:
    messages = [{"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "Under the bed."}]
    memory_id = (await api.post("/api/memories", {"messages": messages})).json()["memory_id"]
    assert "messages" not in (await api.get("/api/memories")).json()["results"][0]
    assert (await api.get(f"/api/memories/{memory_id}")).json()["messages"] == messages


async def test_deleting_everything_leaves_its_trace_in_the_audit(
    api: Caller, alice: Tenant, signed_in: Callable[[Tenant], Caller], database: Database
) -> None:
    for user_id in ("u1", "u1", None):
        await api.add("secret text", user_id=user_id)
    await api.delete("/api/memories?user_id=u1")
    await signed_in(alice).delete(f"/api/memories?project_id={alice.project_id}")
    await api.delete("/api/memories")
    answer = await signed_in(alice).get(f"/api/organizations/{alice.organization_id}/audit")
    events = [event for event in answer.json()["events"] if event["type"] == "memories.deleted"]
    assert len(events) == 2
    of_all, of_one = events
    for event in (of_all, of_one):
        assert (event["actor_id"], event["target"]) == (alice.user_id, alice.project_id)
    assert of_one["metadata"]["count"] == 2
    assert of_one["metadata"]["only_one_end_user"]
    assert of_one["metadata"]["credential"] == "api_key"
    assert of_one["metadata"]["credential_id"].startswith("key_")
    assert of_one["metadata"]["credential_name"]
    assert of_all["metadata"]["count"] == 1
    assert not of_all["metadata"]["only_one_end_user"]
    assert of_all["metadata"]["credential"] == "session"
    assert of_all["metadata"]["credential_id"].startswith("ses_")
    with database.read() as session:
        details = str(session.scalars(sa.select(col(AuditEvent.details))).all())
    assert "u1" not in details
    assert "secret" not in details


@pytest.mark.sqlite_only
async def test_the_document_of_the_api_names_what_the_bounds_add(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    assert "next" in schemas["MemoryList"]["properties"]
    assert "next" in schemas["MemoryHistory"]["properties"]
    assert "omitted" in schemas["FoundList"]["properties"]
    parameters = document["paths"]["/api/memories/{memory_id}/history"]["get"]["parameters"]
    assert {"limit", "before"} <= {parameter["name"] for parameter in parameters}


@pytest.mark.sqlite_only
@rows("written", ["a," * 50_001, f"[{'1,' * 50_000}1]"])
async def test_the_text_of_a_long_list_is_refused_before_it_is_split(api: Caller, written: str) -> None:
    """A batch may have 10 MB, and splitting a text of this size would stop all other requests."""
    refused = await api.post("/api/memories/batch", {"memories": [{"content": "x", "tags": written}]})
    assert refused.status_code == 400
    assert refused.json()["detail"] == "memories.0.tags: must have at most 100,000 characters."
