"""The context of a conversation: pinned memories, then recent and often found ones, within a budget."""

from typing import Any

from tests.rest.conftest import Caller


async def context(caller: Caller, query: str = "") -> dict[str, Any]:
    answer = await caller.get(f"/api/memories/context{query}")
    assert answer.status_code == 200, answer.text
    known: dict[str, Any] = answer.json()
    return known


async def test_pinned_ones_come_first_and_equal_texts_once(api: Caller) -> None:
    await api.add("Oldest pin.", pinned=True)
    changed = await api.add("Old.")
    for text in ("Twice.", "Twice.", "Two\nlines."):
        await api.add(text)
    await api.add("Newest pin.", pinned=True)
    await api.put(f"/api/memories/{changed}", {"text": "Changed."})
    known = await context(api)
    assert known["text"].splitlines() == ["- Newest pin.", "- Oldest pin.", "- Changed.", "- Two lines.", "- Twice."]
    assert [memory["pinned"] for memory in known["memories"]] == [True, True, False, False, False]
    assert set(known["memories"][0]) == {"id", "content", "pinned", "created_at"}
    assert known["memories"][3]["content"] == "Two\nlines."
    assert await context(api) == known


async def test_the_budget_bounds_the_text(api: Caller) -> None:
    await api.add("A long pin. " * 200, pinned=True)
    for number in range(20):
        await api.add(f"Memory number {number} of twenty.")
    assert (await context(api, "?budget=1"))["memories"] == []
    for budget in (80, 300, 1_000, 4_000):
        text = (await context(api, f"?budget={budget}"))["text"]
        assert budget - 80 < len(text) <= budget or budget == 4_000
        assert text.startswith("- A long pin.")
        assert {*text.partition("…")[0].split()} <= {"-", "A", "long", "pin."}  # no word is cut
    for query in ("?budget=0", "?budget=x", "?limit=3"):
        assert (await api.get(f"/api/memories/context{query}")).status_code == 400


async def test_what_is_found_often_comes_before_what_is_merely_older(api: Caller) -> None:
    wanted = await api.add("The red canoe is in the shed.")
    for number in range(8):
        await api.add(f"Note {number}.")
    for _ in range(3):
        await api.results({"query": "red canoe", "limit": 1})
    await api.get(f"/api/projects/{await project(api)}/activity")  # which stores what waits
    assert [memory["id"] for memory in (await context(api))["memories"]].index(wanted) == 1


async def project(api: Caller) -> str:
    return str((await api.get("/api/projects")).json()["projects"][0]["id"])


async def test_another_project_s_memories_and_deleted_ones_are_not_known(api: Caller, stranger: Caller) -> None:
    memory_id = await api.add("Mine.", pinned=True)
    assert (await context(stranger))["text"] == ""
    await api.delete(f"/api/memories/{memory_id}")
    assert await context(api) == {"text": "", "memories": []}
