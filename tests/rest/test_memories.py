"""Memories over HTTP: they are returned as they were sent, changes keep a history, and deleted memories are gone."""

import asyncio
from collections.abc import Callable

import pytest

from tests.conftest import Tenant
from tests.rest.conftest import Caller, said

NEEDED = "This credential lacks a permission: it needs memories:read and memories:write."
EVERY_FORM = {
    "tags": "work, meeting",
    "people_mentioned": "",
    "topic_category": "schedule",
    "nested": {"list": [1, 2.5, None, True], "text": "żółć 日本 🎈"},
    "empty": {},
}


async def test_creating_a_memory_returns_its_id_and_the_operation(api: Caller) -> None:
    answer = await api.post("/api/memories", said("I have a meeting with Alice on Friday"))
    memory_id = answer.json()["memory_id"]
    assert memory_id.startswith("mem_")
    assert answer.json() == {
        "success": True,
        "message": "Memory created successfully",
        "memory_id": memory_id,
        "operations": [{"id": memory_id, "memory": "I have a meeting with Alice on Friday", "event": "ADD"}],
    }


async def test_a_memory_reads_as_it_was_sent(api: Caller, alice: Tenant) -> None:
    content = "  verbatim:\tblanks, lines\r\n and 🎈  "
    memory_id = await api.add(content, metadata=EVERY_FORM, user_id="customer 7")
    memory = (await api.get(f"/api/memories/{memory_id}")).json()
    created_at, source = memory.pop("created_at"), memory.pop("source")
    assert (created_at[-1], source["kind"]) == ("Z", "api_key")
    assert memory == {
        "id": memory_id,
        "content": content,
        "metadata": EVERY_FORM,
        "user_id": "customer 7",
        "project_id": alice.project_id,
    } | {"updated_at": created_at, "expires_at": None, "pinned": False}


async def test_metadata_keeps_the_form_in_which_it_was_sent(api: Caller) -> None:
    sent = {"tags": ["work", " late "], "people_mentioned": "Dr Li, Ann", "n": 1}
    memory_id = await api.add("x", metadata=sent)
    assert (await api.get(f"/api/memories/{memory_id}")).json()["metadata"] == sent


async def test_a_memory_with_a_past_time_is_listed_at_that_time(api: Caller) -> None:
    await api.add("new")
    memory_id = await api.add("old", created_at="2019-07-01T10:30:00+02:00")
    await api.add("older", created_at="2018-01-02")
    assert await api.listed() == ["new", "old", "older"]
    memory = (await api.get(f"/api/memories/{memory_id}")).json()
    assert memory["created_at"] == "2019-07-01T08:30:00Z"


async def test_a_change_replaces_the_fields_it_has_and_keeps_the_rest(api: Caller, alice: Tenant) -> None:
    memory_id = await api.add("first", metadata={"tags": "a"})
    path = f"/api/memories/{memory_id}"
    changed = (await api.put(path, {"text": "second"})).json()
    assert (changed["content"], changed["metadata"]) == ("second", {"tags": "a"})
    changed = (await api.put(path, {"metadata": {"tags": ["b"]}})).json()
    assert (changed["content"], changed["metadata"]) == ("second", {"tags": ["b"]})
    assert changed == (await api.get(path)).json()
    versions = (await api.get(f"{path}/history")).json()["results"]
    assert [(v["version"], v["content"], v["metadata"], v["updated_by"]) for v in versions] == [
        (3, "second", {"tags": ["b"]}, alice.user_id),
        (2, "second", {"tags": "a"}, alice.user_id),
        (1, "first", {"tags": "a"}, alice.user_id),
    ]
    assert versions[0]["updated_at"] == changed["updated_at"] > versions[2]["updated_at"]


async def test_a_change_to_the_current_values_makes_no_version(api: Caller) -> None:
    memory_id = await api.add("first", metadata={"tags": "a", "done": True})
    path = f"/api/memories/{memory_id}"
    before = (await api.get(path)).json()
    for again in ({"text": "first"}, {"metadata": {"done": True, "tags": "a"}}, {"text": "first", "metadata": None}):
        assert (await api.put(path, again)).json() == before
    assert (await api.put(path, {"metadata": {"tags": "a", "done": 1}})).json()["metadata"] == {"tags": "a", "done": 1}
    assert len((await api.get(f"{path}/history")).json()["results"]) == 2


async def test_a_changed_memory_is_found_by_its_new_text(api: Caller) -> None:
    memory_id = await api.add("the cat sleeps", metadata={"tags": "cat"})
    await api.put(f"/api/memories/{memory_id}", {"text": "the parrot sings", "metadata": {"tags": "parrot"}})
    (found,) = await api.results({"query": "parrot", "filters": {"explain": True}})
    assert found["match"]["piece"] == found["content"] == "the parrot sings"
    assert found["match"]["words"] > 0
    assert await api.found(tags="cat") == []
    assert await api.found(tags="parrot") == ["the parrot sings"]


async def test_a_deleted_memory_is_gone_from_every_answer(api: Caller) -> None:
    memory_id = await api.add("forget me", metadata={"tags": "secret"})
    await api.put(f"/api/memories/{memory_id}", {"text": "forget me too"})
    assert (await api.delete(f"/api/memories/{memory_id}")).json() == {"message": "Memory deleted successfully"}
    for method, path, body in (
        ("GET", "", None), ("GET", "/history", None), ("PUT", "", {"text": "x"}), ("DELETE", "", None),
    ):  # fmt: skip
        answer = await api.send(method, f"/api/memories/{memory_id}{path}", body)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Memory not found."})
    assert await api.listed() == []
    assert await api.found("forget me") == []
    assert (await api.get("/api/memories/stats")).json() == {"total": 0, "this_week": 0, "tag_count": 0}


async def test_delete_all_deletes_one_end_user_or_the_whole_project(api: Caller, stranger: Caller) -> None:
    await stranger.add("Bob's own")
    for user_id in ("u1", "u1", "u2", None):
        await api.add("mine", user_id=user_id)
    assert (await api.delete("/api/memories?user_id=u1")).json() == {
        "message": "2 memories deleted",
        "deleted_count": 2,
    }
    assert (await api.delete("/api/memories")).json()["deleted_count"] == 2
    assert (await api.delete("/api/memories")).json()["deleted_count"] == 0
    assert await stranger.listed() == ["Bob's own"]


async def test_a_batch_is_stored_in_order(api: Caller) -> None:
    answer = await api.post("/api/memories/batch", {"memories": [said("a"), said("b", user_id="u"), said("c")]})
    assert answer.json()["message"] == "3 memories created"
    ids = [result["memory_id"] for result in answer.json()["results"]]
    assert [(await api.get(f"/api/memories/{one}")).json()["content"] for one in ids] == ["a", "b", "c"]
    assert await api.listed() == ["c", "b", "a"]


async def test_a_batch_with_one_bad_memory_stores_nothing(api: Caller) -> None:
    answer = await api.post("/api/memories/batch", {"memories": [said("a"), said("")]})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("memories.1.messages.0.content: ")
    assert await api.listed() == []


async def test_stats_count_memories_and_different_tags(api: Caller) -> None:
    await api.add("a", metadata={"tags": "Work,home"})
    await api.add("b", metadata={"tags": "work"})
    await api.add("c", created_at="2020-01-01")
    assert (await api.get("/api/memories/stats")).json() == {"total": 3, "this_week": 2, "tag_count": 2}
    assert (await api.get("/v1/stats")).json() == {"total": 3, "this_week": 2, "tag_count": 2}


@pytest.mark.sqlite_only
async def test_a_read_only_caller_cannot_write_and_is_told_why(
    api: Caller, reader: Caller, viewer: Caller, alice: Tenant
) -> None:
    memory_id = await api.add("stays")
    for method, path, body in (
        ("POST", "/api/memories", said("x")),
        ("POST", "/api/memories/batch", {"memories": [said("x")]}),
        ("PUT", f"/api/memories/{memory_id}", {"text": "x"}),
        ("DELETE", f"/api/memories/{memory_id}", None),
        ("DELETE", "/api/memories", None),
    ):
        refused = await reader.send(method, path, body)
        assert (refused.status_code, refused.json()["detail"]) == (403, NEEDED)
        refused = await viewer.send(method, f"{path}?project_id={alice.project_id}", body)
        assert (refused.status_code, refused.json()) == (
            403,
            {"detail": "A viewer may not write in this project."},
        )
    assert await reader.listed() == ["stays"]
    assert await viewer.listed(f"?project_id={alice.project_id}") == ["stays"]


async def test_another_tenants_memory_looks_like_a_missing_one(api: Caller, stranger: Caller) -> None:
    memory_id = await api.add("Alice's own")
    for method, body in (("GET", None), ("PUT", {"text": "x"}), ("DELETE", None)):
        seen = await stranger.send(method, f"/api/memories/{memory_id}", body)
        unseen = await stranger.send(method, "/api/memories/mem_doesnotexist", body)
        assert (seen.status_code, seen.json()) == (unseen.status_code, unseen.json()) == (404, unseen.json())
    assert await stranger.found("Alice's own") == []
    assert await api.listed() == ["Alice's own"]


async def test_a_key_reaches_only_its_own_project(api: Caller, alice: Tenant, bob: Tenant) -> None:
    for project_id in (bob.project_id, "proj_doesnotexist"):
        for method, path, body in (
            ("POST", "/api/memories", said("x", project_id=project_id)),
            ("POST", f"/api/memories?project_id={project_id}", said("x")),
            ("GET", f"/api/memories?project_id={project_id}", None),
            ("DELETE", f"/api/memories?project_id={project_id}", None),
            ("GET", f"/api/memories/stats?project_id={project_id}", None),
            ("POST", "/api/memories/search", {"query": "x", "project_id": project_id}),
            ("POST", "/api/memories/search", {"query": "x", "filters": {"project_id": project_id}}),
            ("POST", "/api/memories/batch", {"memories": [said("x")], "project_id": project_id}),
        ):
            answer = await api.send(method, path, body)
            assert (answer.status_code, answer.json()) == (404, {"detail": "Project not found."}), path
    assert (await api.post("/api/memories", said("x", project_id=alice.project_id))).status_code == 200


async def test_a_session_names_the_project_and_reaches_memories_by_id(
    signed_in: Callable[[Tenant], Caller], alice: Tenant, bob: Tenant
) -> None:
    session = signed_in(alice)
    refused = await session.post("/api/memories", said("x"))
    assert refused.status_code == 400
    assert "project_id" in refused.json()["detail"]
    memory_id = await session.add("x", project_id=alice.project_id)
    assert (await session.get(f"/api/memories/{memory_id}")).json()["content"] == "x"
    assert (await signed_in(bob).get(f"/api/memories/{memory_id}")).status_code == 404
    for body in (
        {"query": "x", "project_id": alice.project_id},
        {"query": "x", "filters": {"project_id": alice.project_id}},
    ):
        assert len(await session.results(body)) == 1


@pytest.mark.sqlite_only
async def test_two_different_projects_in_one_request_are_invalid(api: Caller, alice: Tenant, bob: Tenant) -> None:
    own, other = alice.project_id, bob.project_id
    for path, body in (
        (f"/api/memories?project_id={other}", said("x", project_id=own)),
        ("/api/memories/batch", {"memories": [said("x", project_id=own), said("y", project_id=other)]}),
        ("/api/memories/search", {"query": "x", "project_id": own, "filters": {"project_id": other}}),
    ):
        answer = await api.post(path, body)
        assert answer.status_code == 400
        assert answer.json()["detail"].startswith("project_id: ")


@pytest.mark.sqlite_only
async def test_a_path_lists_its_methods(api: Caller) -> None:
    refused = await api.send("PATCH", "/api/memories")
    allowed = "DELETE, GET, HEAD, OPTIONS, POST"
    assert (refused.status_code, refused.headers["allow"]) == (405, allowed)
    assert refused.json()["detail"] == f"This method is not allowed here. Use one of {allowed}."
    assert (await api.send("OPTIONS", "/api/memories/search")).headers["allow"] == "OPTIONS, POST"
    assert (await api.send("HEAD", "/api/memories")).status_code == 200


async def test_changes_at_the_same_time_all_become_versions(api: Caller) -> None:
    memory_id = await api.add("version 0")
    texts = [f"version {number}" for number in range(1, 7)]
    answers = await asyncio.gather(*(api.put(f"/api/memories/{memory_id}", {"text": text}) for text in texts))
    assert [answer.status_code for answer in answers] == [200] * 6
    versions = (await api.get(f"/api/memories/{memory_id}/history")).json()["results"]
    assert [version["version"] for version in versions] == [7, 6, 5, 4, 3, 2, 1]
    assert {version["content"] for version in versions} == {"version 0", *texts}
    assert await api.found("version") == [versions[0]["content"]]


async def test_deleting_during_a_change_leaves_nothing_behind(api: Caller) -> None:
    for _ in range(3):
        path = f"/api/memories/{await api.add('here and gone')}"
        answers = await asyncio.gather(api.put(path, {"text": "changed"}), *(api.delete(path) for _ in range(3)))
        assert sorted(answer.status_code for answer in answers[1:]) == [200, 404, 404]
    assert (await api.get("/api/memories/stats")).json()["total"] == 0
    assert await api.found("changed") == []


async def test_adding_changing_and_deleting_at_once_do_not_block_each_other(api: Caller) -> None:
    paths = [f"/api/memories/{await api.add(f'said {number}')}" for number in range(24)]
    changes = [api.put(path, {"text": "changed"}) for path in paths[1::3]]
    additions = [api.post("/api/memories", said(f"added {number}")) for number in range(16)]
    everything = [*(api.delete(path) for path in paths[::3]), *changes, *additions]
    answers = await asyncio.gather(*everything[::2], *everything[1::2])
    assert {answer.status_code for answer in answers} == {200}
    assert (await api.get("/api/memories/stats")).json()["total"] == 24 - 8 + 16


async def test_values_at_the_limits_are_stored(api: Caller) -> None:
    metadata = {"text": "x" * (16_384 - len('{"text":""}'))}
    await api.add("x" * 10_000, metadata=metadata, user_id="u" * 200)
    await api.add("many", metadata={str(number): number for number in range(64)})
    messages = [{"role": "user", "content": "x" * 500}] * 100
    assert (await api.post("/api/memories", {"messages": messages})).status_code == 200
    assert len(await api.listed()) == 3
