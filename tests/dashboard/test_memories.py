"""Memories in the dashboard: add, read, search, edit, delete, restore."""

import html
import re

import httpx

from tests.support.tables import rows
from tests.support.visitors import Visitor, hidden, seen

XSS = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'`{{ 7*7 }}</textarea></title>"


def form(text: str, **values: str | list[str]) -> dict[str, str | list[str]]:
    empty = {"tags": "", "people_mentioned": "", "topic_category": "", "user_id": ""}
    return {"text": text, **empty, **values}


def detail(name: str, kind: str, value: str) -> dict[str, str | list[str]]:
    """Return the fields of one row of details."""
    return {"names": [name], "kinds": [kind], "values": [value]}


async def test_an_added_memory_can_be_read_and_found_immediately(ann: Visitor) -> None:
    row = detail("source", "text", "me")
    typed = form("Anna likes\r\nthe window seat.", tags="travel, trains", people_mentioned="Anna", **row)
    location = await ann.do(f"{ann.project}/memories/new", typed)
    page = await ann.see(location)
    assert "Memory added" in page
    assert "Anna likes the window seat." in page
    assert "#travel #trains @Anna" in page
    assert "source me" in page
    stored = await ann.client.get(f"/api/memories/{location.split('/')[3].split('?')[0]}", headers=ann.tenant.auth)
    assert stored.json()["content"] == "Anna likes\nthe window seat."
    assert "Anna likes" in await ann.see(f"{ann.project}/memories?q=window+seat")


@rows(
    ("typed", "reason"),
    [
        (form("  "), "Text: must not be blank"),
        (form("x" * 10_001), "Text: has 10,001 characters"),
        (form("fine", tags=", ".join(map(str, range(101)))), "Tags: must have at most 100 values"),
        (form("fine", user_id="x" * 201), "End user: "),
        (form("fine", **detail("tags", "text", "a")), "tags: this has its own field above"),
        (form("fine", **detail("a", "json", "NaN")), "Other details: must be JSON without NaN"),
        (form("fine\0"), "NUL"),
    ],
)
async def test_an_invalid_memory_is_refused_with_the_reason(
    ann: Visitor, typed: dict[str, str | list[str]], reason: str
) -> None:
    response = await ann.post(f"{ann.project}/memories/new", typed)
    assert response.status_code == 400
    assert reason in seen(response)
    assert "0 memories" in await ann.see(f"{ann.project}/memories")


async def test_filters_work_as_for_assistants(ann: Visitor) -> None:
    await ann.remember("Tram at nine.", tags="travel", people_mentioned="Dr Li", topic_category="Plans")
    await ann.remember("Soup with leeks.", tags="food")
    for query in (
        "tags=TRAVEL",
        "people=dr+li",
        "category=plans",
        "when=last+7+days&tags=travel",
        "q=tram&tags=travel",
    ):
        page = await ann.see(f"{ann.project}/memories?{query}")
        assert "Tram at nine." in page, query
        assert "Soup with leeks." not in page, query
    nothing = await ann.see(f"{ann.project}/memories?q=tram&people=Li")
    assert "No memories found" in nothing
    assert "Best match" not in nothing


async def test_an_invalid_filter_is_refused_and_kept_in_its_field(ann: Visitor) -> None:
    response = await ann.get(f"{ann.project}/memories?when=someday")
    assert response.status_code == 400
    assert "When: must be one of today" in seen(response)
    assert 'value="someday"' in response.text
    assert re.search(r'<input id="when"[^>]*aria-invalid="true"', response.text)
    assert not re.search(r'<input id="tags"[^>]*aria-invalid="true"', response.text)


async def test_a_label_in_two_spellings_is_shown_once(ann: Visitor) -> None:
    memory_id = await ann.remember(
        "Tram at nine.", tags=["Night  train", "night train", "work"], people_mentioned="Li,LI"
    )
    for path in (f"{ann.project}/memories", f"/dashboard/memories/{memory_id}"):
        assert "#Night train #work @Li " in await ann.see(path)


async def test_pagination_shows_every_memory(ann: Visitor) -> None:
    await ann.remember_all([f"Memory number {number:02}." for number in range(30)])
    first = await ann.get(f"{ann.project}/memories")
    assert "alice listed 25 memories in the dashboard" in await ann.see(f"{ann.project}/activity")
    second = await ann.get(next_of(first))
    assert all(f"number {number:02}." in first.text + second.text for number in range(30))
    assert "number 29." in first.text
    assert "number 00." in second.text


async def test_an_edit_keeps_the_previous_version(ann: Visitor) -> None:
    memory_id = await ann.remember("Anna likes the aisle.", tags="travel", source="chat")
    page = f"/dashboard/memories/{memory_id}"
    assert "Anna likes the aisle." in (await ann.get(f"{page}/edit")).text
    typed = form("Anna likes the window.", tags="travel", **detail("source", "text", "chat"))
    assert await ann.do(f"{page}/edit", typed) == f"{page}?done=saved"
    shown = await ann.see(page)
    assert "Anna likes the window." in shown
    assert "1 earlier version" in shown
    assert "<del>aisle</del><ins>window</ins>" in (await ann.get(page)).text


async def test_the_history_shows_labels_as_people_write_them(ann: Visitor) -> None:
    memory_id = await ann.remember("Same.", tags=["a", "b"])
    change = {"metadata": {"tags": ["b"], "mood": "good"}}
    await ann.client.put(f"/api/memories/{memory_id}", json=change, headers=ann.tenant.auth)
    page = (await ann.get(f"/dashboard/memories/{memory_id}")).text
    assert "<dt>Tags</dt><dd><del>a, b</del> <ins>b</ins></dd>" in page
    assert "<dt>mood</dt><dd> <ins>good</ins></dd>" in page


async def test_saving_without_changes_creates_no_version(ann: Visitor) -> None:
    memory_id = await ann.remember("Same.", tags="a,b")
    await ann.do(f"/dashboard/memories/{memory_id}/edit", form("Same.", tags="a,b"))
    assert "Last edited Never" in await ann.see(f"/dashboard/memories/{memory_id}")


async def test_a_deleted_memory_can_be_restored_only_from_the_page(ann: Visitor) -> None:
    memory_id = await ann.remember("Anna likes the window seat.", tags="travel")
    before = (await ann.client.get(f"/api/memories/{memory_id}", headers=ann.tenant.auth)).json()
    deleted = await ann.shown(f"/dashboard/memories/{memory_id}/delete")
    assert deleted.status_code == 200
    assert "Memory deleted" in seen(deleted)
    assert (await ann.get(f"/dashboard/memories/{memory_id}")).status_code == 404
    assert "Anna" not in await ann.see(f"{ann.project}/memories")
    location = await ann.do(f"{ann.project}/memories/restore", {"kept": hidden(deleted, "kept")})
    assert location.endswith("?done=restored")
    restored = (await ann.client.get("/api/memories", headers=ann.tenant.auth)).json()["results"][0]
    assert restored["content"] == before["content"]
    assert restored["metadata"] == before["metadata"]
    assert restored["created_at"] == before["created_at"]


async def test_a_memory_of_several_messages_is_restored_completely(ann: Visitor) -> None:
    messages = [{"role": "user", "content": "Which seat?"}, {"role": "assistant", "content": "The window."}]
    added = await ann.client.post("/api/memories", json={"messages": messages}, headers=ann.tenant.auth)
    deleted = await ann.shown(f"/dashboard/memories/{added.json()['memory_id']}/delete")
    await ann.do(f"{ann.project}/memories/restore", {"kept": hidden(deleted, "kept")})
    (listed,) = (await ann.client.get("/api/memories", headers=ann.tenant.auth)).json()["results"]
    restored = await ann.client.get(f"/api/memories/{listed['id']}", headers=ann.tenant.auth)
    assert restored.json()["messages"] == messages


async def test_a_memory_that_is_too_large_for_a_form_is_brought_back_only_from_the_trash(ann: Visitor) -> None:
    memory = {"messages": [{"role": "user", "content": "茶" * 9_000}] * 15}
    for days, notice in (("7", "It stays in the trash for 7 days"), ("0", "so it cannot be brought back.")):
        await ann.do(f"{ann.project}/change", {"name": "Brief", "trash_days": days})
        added = await ann.client.post("/api/memories/batch", json={"memories": [memory]}, headers=ann.tenant.auth)
        (result,) = added.json()["results"]
        confirmed = {"permanently": "1"}
        path = f"/dashboard/memories/{result['memory_id']}/delete"
        deleted = await (ann.shown if days == "7" else ann.post)(path, confirmed)
        assert notice in seen(deleted)
        assert ("Undo" in seen(deleted)) is (days == "7")
        if days == "7":
            location = await ann.do(f"{ann.project}/memories/restore", {"kept": hidden(deleted, "kept")})
            assert location.endswith("?done=restored")


async def test_a_memory_is_restored_into_the_project_of_the_address(ann: Visitor, ben: Visitor) -> None:
    await ben.do(f"{ben.project}/change", {"name": "Brief", "trash_days": "0"})
    memory_id = await ben.remember("Hers now.")
    deleted = await ben.post(f"/dashboard/memories/{memory_id}/delete", {"permanently": "1"})
    kept = hidden(deleted, "kept")
    assert ben.tenant.project_id in kept
    await ann.do(f"{ann.project}/memories/restore", {"kept": kept})
    assert "Hers now." in await ann.see(f"{ann.project}/memories")
    assert "Hers now." not in await ben.see(f"{ben.project}/memories")
    refused = await ann.post(f"{ann.project}/memories/restore", {"kept": "{}"})
    assert refused.status_code == 400


async def test_viewers_see_no_edit_actions_and_cannot_edit(ann: Visitor, viewer: Visitor) -> None:
    memory_id = await ann.remember("Look, do not touch.")
    page = f"/dashboard/memories/{memory_id}"
    shown = await viewer.get(page)
    assert "Look, do not touch." in shown.text
    assert "/edit" not in shown.text
    assert "/delete" not in shown.text
    for path in (f"{page}/delete", f"{page}/edit", f"{ann.project}/memories/new", f"{ann.project}/delete-memories"):
        refused = await viewer.post(path, form("changed", confirm="My Memories"))
        assert refused.status_code == 403, path
        assert "A viewer may not write in this project." in seen(refused)
    assert "Look, do not touch." in await ann.see(page)


async def test_r30_r31_every_field_is_escaped(ann: Visitor) -> None:
    typed = form(XSS, tags=XSS, people_mentioned=XSS, topic_category=XSS, user_id=XSS, **detail(XSS, "text", XSS))
    page = (await ann.do(f"{ann.project}/memories/new", typed)).partition("?")[0]
    await ann.do(f"{page}/edit", {**typed, "text": "changed " + XSS})
    pages = (page, f"{page}/edit", f"{ann.project}/memories", f"{ann.project}/memories?q=alert", ann.project)
    for path in pages:
        response = await ann.get(path)
        assert response.status_code == 200
        assert "<script>alert" not in response.text, path
        assert "<img src=x" not in response.text, path
        assert "&lt;script&gt;alert(1)" in response.text, path
    echoed = await ann.client.get(f"{ann.project}/memories", params={"q": XSS, "tags": XSS, "when": XSS})
    assert "<img src=x" not in echoed.text
    for deleted in (await ann.shown(f"{page}/delete"), await ann.get(f"{ann.project}/memories?deleted={XSS}")):
        assert "Memory deleted" in deleted.text
        assert "<script>alert" not in deleted.text


async def test_pages_stay_small_with_large_data(ann: Visitor) -> None:
    tags = [f"a rather long tag number {number}" for number in range(100)]
    other = {f"key{number}": "value " * 30 for number in range(50)}
    memory_id = (await ann.remember_all(["'word' <&> " * 900] * 26, tags=tags, people_mentioned=tags, **other))[0]
    for number in range(100):
        await ann.client.post(f"/api/projects/{ann.tenant.project_id}/api-keys", json={"name": f"Key {number}"})
    listed = f"{ann.project}/memories"
    pages = (listed, f"{listed}?q=word", ann.project, f"/dashboard/memories/{memory_id}", f"{ann.project}/keys")
    for path in pages:
        response = await ann.get(path)
        assert response.status_code == 200
        assert len(response.content) <= 100_000, path


async def test_deleting_all_memories_requires_typing_the_name(ann: Visitor) -> None:
    await ann.remember("One.")
    refused = await ann.post(f"{ann.project}/delete-memories", {"confirm": "my memories"})
    assert refused.status_code == 400
    assert "type the name exactly" in seen(refused)
    assert "One." in await ann.see(f"{ann.project}/memories")
    await ann.do(f"{ann.project}/delete-memories", {"confirm": "My Memories"})
    assert "No memories yet" in await ann.see(f"{ann.project}/memories")


async def test_the_overview_counts_memories_and_labels(ann: Visitor) -> None:
    empty = await ann.get(ann.project)
    assert "Get started" in empty.text
    assert f'href="{ann.project}/transfer">Import memories' in empty.text
    await ann.remember("One.", tags="Travel,home", people_mentioned="Anna")
    await ann.remember("Two.", tags="travel", topic_category="Plans")
    page = await ann.see(ann.project)
    assert "Memories 2 This week 2 Tags 2" in page
    assert "travel 2" in page.replace("Travel", "travel")
    assert "Anna 1" in page
    assert "Plans 1" in page


def next_of(page: httpx.Response) -> str:
    """Return the address of the next page."""
    found = re.search(r'href="([^"]+)" rel="next"', page.text)
    assert found, "the last page"
    return html.unescape(found[1])


async def test_pages_of_large_memories_are_shorter_and_lose_none(ann: Visitor) -> None:
    messages = [{"role": "user", "content": "x" * 9_999 + "."} for _ in range(99)]
    for number in range(6):
        body = {"memories": [{"messages": [{"role": "user", "content": f"walnut {number}"}, *messages]}]}
        added = await ann.client.post("/api/memories/batch", json=body, headers=ann.tenant.auth)
        assert added.status_code == 200, added.text
    for query in ("", "?q=walnut"):
        numbers: list[str] = []
        address: str | None = query
        pages = 0
        while address is not None:
            page = await ann.get(f"{ann.project}/memories{address}")
            numbers += re.findall(r"walnut (\d)", re.sub(r"</?(mark|span)[^>]*>", "", page.text))
            following = re.search(r'href="[^"?]*(\?[^"]*)" rel="next"', page.text)
            address = html.unescape(following[1]) if following else None
            pages += 1
        assert sorted(numbers) == ["0", "1", "2", "3", "4", "5"]
        assert pages > 1


async def test_the_history_shows_five_versions_and_more_when_asked(ann: Visitor) -> None:
    memory_id = await ann.remember("text 1")
    path = f"/dashboard/memories/{memory_id}"
    for number in range(2, 10):
        await ann.client.put(f"/api/memories/{memory_id}", json={"text": f"text {number}"}, headers=ann.tenant.auth)
    page = await ann.get(path)
    assert "8 earlier versions, showing the newest 5" in seen(page)
    assert re.findall(r"Version (\d)", page.text) == ["8", "7", "6", "5", "4"]
    assert "Show more" in page.text
    more = await ann.get(f"{path}?before=4")
    assert re.findall(r"Version (\d)", more.text) == ["3", "2", "1"]
    assert "Show more" not in more.text
    assert "Show the newest" in more.text
    for odd in ("x", "0", "99", "9" * 30, "-1"):
        assert (await ann.get(f"{path}?before={odd}")).status_code == 200
