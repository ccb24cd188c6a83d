"""Similar memories are found by their vectors and can be merged. The trash keeps the merged ones."""

import re

import pytest

from server.domain.memory.pages import similar
from tests.support.visitors import Visitor

WINDOW = "Anna likes the window seat on trains"
TWIN = "Anna likes the window seat on trains a lot"
OTHER = "Soup with leeks needs cream."


async def test_near_duplicates_are_put_together_and_others_are_not(ann: Visitor) -> None:
    await ann.remember_all([WINDOW, OTHER, TWIN])
    page = await ann.see(f"{ann.project}/similar")
    assert "All 3 memories are compared." in page
    assert "2 similar memories" in page
    assert WINDOW in page
    assert OTHER not in page


async def test_equal_texts_are_called_identical(ann: Visitor) -> None:
    words = ("seat", "soup", "tram", "chess", "kayak", "violin", "tax", "garden")
    await ann.remember_all([f"The {word} of {word * 2}." for word in words] * 2)
    page = await ann.see(f"{ann.project}/similar")
    assert (page.count("2 similar memories Identical"), page.count("alike")) == (len(words), 0)


async def test_without_near_duplicates_the_page_says_so(ann: Visitor) -> None:
    await ann.remember_all([WINDOW, OTHER])
    assert "No similar memories" in await ann.see(f"{ann.project}/similar")


async def test_merging_keeps_one_with_all_labels_and_the_trash_undoes_it(ann: Visitor) -> None:
    kept = await ann.remember(WINDOW, tags="travel", people_mentioned="Anna")
    other = await ann.remember(TWIN, tags=["Trains", "TRAVEL"], topic_category="likes")
    await ann.do(f"/dashboard/memories/{other}/pin", {"pinned": "1"})
    await ann.do(f"{ann.project}/similar/merge", {"keep": kept, "ids": [kept, other]})
    stored = (await ann.client.get(f"/api/memories/{kept}", headers=ann.tenant.auth)).json()
    assert stored["content"] == WINDOW
    assert stored["metadata"]["tags"] == "travel, Trains"
    assert stored["pinned"] is True
    assert (await ann.get(f"/dashboard/memories/{other}")).status_code == 404
    await ann.do(f"{ann.project}/trash/{other}/restore")
    assert TWIN in await ann.see(f"{ann.project}/memories")


async def test_a_merged_memory_lives_as_long_as_the_longest_of_them(ann: Visitor) -> None:
    async def merged(own: int | None, others: int | None) -> tuple[str | None, list[str | None]]:
        """Return the expiry of a memory after a merge, and those of both before."""
        kept, other = await ann.remember_all([WINDOW, TWIN])
        before = []
        for memory_id, days in ((kept, own), (other, others)):
            path, change = f"/api/memories/{memory_id}", {"expires_in_days": days} if days else {"expires_at": None}
            before.append((await ann.client.patch(path, json=change, headers=ann.tenant.auth)).json()["expires_at"])
        await ann.do(f"{ann.project}/similar/merge", {"keep": kept, "ids": [kept, other]})
        return (await ann.client.get(f"/api/memories/{kept}", headers=ann.tenant.auth)).json()["expires_at"], before

    after, (own, others) = await merged(1, 30)
    assert after == others
    after, (own, others) = await merged(30, 1)
    assert after == own
    for days in ((1, None), (None, 1)):
        assert (await merged(*days))[0] is None


async def test_merging_needs_two_memories_of_the_project(ann: Visitor, ben: Visitor, viewer: Visitor) -> None:
    own, foreign = await ann.remember(WINDOW), await ben.remember(TWIN)
    merge = f"{ann.project}/similar/merge"
    assert (await ann.post(merge, {"keep": own, "ids": [own]})).status_code == 400
    assert (await ann.post(merge, {"keep": foreign, "ids": [own, foreign]})).status_code == 404
    assert (await viewer.post(merge, {"keep": own, "ids": [own, "mem_x"]})).status_code == 403
    await ann.do(merge, {"keep": own, "ids": [own, foreign]})
    assert TWIN in await ben.see(f"{ben.project}/memories")


async def test_a_large_project_is_compared_part_by_part(ann: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similar, "MOST_COMPARED", 3)
    await ann.remember_all([WINDOW, TWIN, OTHER, "Tom plays chess.", "The tram is late."])
    first = await ann.get(f"{ann.project}/similar")
    assert "Compared: 3 memories of 5, the newest ones." in " ".join(re.sub(r"<[^>]*>", " ", first.text).split())
    assert "No similar memories" in first.text
    following = re.search(r'href="([^"]*)" rel="next"', first.text)
    assert following
    older = await ann.see(following[1])
    assert "2 similar memories" in older
    assert "older ones" in older
    assert (await ann.get(f"{ann.project}/similar?before=x")).status_code == 200


async def test_many_equal_memories_make_few_groups(ann: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similar, "MOST_IN_GROUP", 3)
    monkeypatch.setattr(similar, "MOST_GROUPS", 2)
    await ann.remember_all([WINDOW] * 9 + [OTHER])
    page = await ann.see(f"{ann.project}/similar")
    assert page.count("3 similar memories") == 2
    assert OTHER not in page
