"""The trash and the activity of a project: restoring deleted memories, and undoing what an application did."""

import html
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.conftest import ORIGIN
from tests.support.visitors import Visitor, hidden, seen

LISBON = "The flat in Lisbon has no lift."


async def test_a_deleted_memory_is_in_the_trash_and_comes_back(ann: Visitor) -> None:
    memory_id = await ann.remember(LISBON)
    await ann.post(f"/dashboard/memories/{memory_id}/delete", {})
    assert LISBON not in await ann.see(f"{ann.project}/memories")
    page = await ann.see(f"{ann.project}/trash")
    assert LISBON in page
    assert "via Dashboard" in page
    assert "Kept until" in page
    location = await ann.do(f"{ann.project}/trash/{memory_id}/restore", {})
    assert "Memory restored" in await ann.see(location)
    assert "The trash is empty" in await ann.see(f"{ann.project}/trash")
    assert LISBON in await ann.see(f"{ann.project}/memories")


async def test_no_page_of_the_trash_skips_what_follows_a_restored_memory(ann: Visitor) -> None:
    texts = [f"Note {number:02}." for number in range(27)]
    for memory_id in (ids := await ann.remember_all(texts)):
        await ann.client.delete(f"/api/memories/{memory_id}", headers=ann.tenant.auth)
    first = await ann.get(f"{ann.project}/trash")
    assert [text for text in texts if text in first.text] == texts[2:]
    older = re.findall(r'href="([^"]*/trash\?[^"]*)"', first.text)[0]
    for memory_id in ids[-3:] + ids[2:3]:
        await ann.do(f"{ann.project}/trash/{memory_id}/restore")
    page = await ann.get(html.unescape(older))
    assert [text for text in texts if text in page.text] == texts[:2]
    assert "Older" not in page.text
    listed = (await ann.client.get("/api/memories/trash?limit=1", headers=ann.tenant.auth)).json()["results"]
    before = {"before": listed[0]["deleted_at"], "limit": "1"}
    answer = await ann.client.get("/api/memories/trash", params=before, headers=ann.tenant.auth)
    assert (answer.json()["results"][0]["content"], answer.json()["total"]) == (texts[22], 23)


async def test_the_trash_deletes_for_good_when_asked(ann: Visitor) -> None:
    memory_id = await ann.remember(LISBON)
    await ann.post(f"/dashboard/memories/{memory_id}/delete", {})
    location = await ann.do(f"{ann.project}/trash/{memory_id}/delete", {})
    page = await ann.see(location)
    assert "Memory deleted permanently" in page
    assert LISBON not in page


@pytest.mark.parametrize("days", ["7", "0"])
async def test_fewer_days_in_the_trash_take_nothing_away(ann: Visitor, days: str) -> None:
    await ann.do(f"{ann.project}/change", {"name": "Brief", "trash_days": "30"})
    memory_id = await ann.remember("The window seat.")
    await ann.post(f"/dashboard/memories/{memory_id}/delete")
    (before,) = (await ann.client.get("/api/memories/trash", headers=ann.tenant.auth)).json()["results"]
    assert "Memories in the trash keep their date." in await ann.see(f"{ann.project}/settings")
    await ann.do(f"{ann.project}/change", {"name": "Brief", "trash_days": days})
    (after,) = (await ann.client.get("/api/memories/trash", headers=ann.tenant.auth)).json()["results"]
    assert after["deleted_until"] == before["deleted_until"]
    assert "The window seat." in await ann.see(f"{ann.project}/trash")
    await ann.do(f"{ann.project}/trash/{memory_id}/restore", {})
    assert "The window seat." in await ann.see(f"{ann.project}/memories")


async def test_a_page_after_the_end_of_the_trash_leads_to_the_first(ann: Visitor) -> None:
    memory_id = await ann.remember("The window seat.")
    await ann.post(f"/dashboard/memories/{memory_id}/delete")
    answer = await ann.get(f"{ann.project}/trash?before=2020-01-01")
    assert (answer.status_code, answer.headers.get("location")) == (303, f"{ann.project}/trash")


async def test_the_work_of_a_key_is_shown_in_sentences_and_undone(ann: Visitor) -> None:
    typed = {"text": LISBON, "tags": "", "people_mentioned": "", "topic_category": "", "user_id": ""}
    kept = (await ann.do(f"{ann.project}/memories/new", typed)).split("/")[3].split("?")[0]
    added = await ann.client.post("/api/memories", json={"content": "A wrong memory."}, headers=ann.tenant.auth)
    changed = await ann.client.put(f"/api/memories/{kept}", json={"text": "Spoiled."}, headers=ann.tenant.auth)
    assert (added.status_code, changed.status_code) == (200, 200)
    await ann.client.post("/api/memories/search", json={"query": "flat"}, headers=ann.tenant.auth)
    page = await ann.see(f"{ann.project}/activity")
    assert "searched and found" in page
    assert "Question: “flat”" in page
    assert "all (" in page
    events = (
        await ann.client.get(f"/api{ann.project.removeprefix('/dashboard')}/activity", headers=ann.tenant.auth)
    ).json()
    first = next(event for event in events["events"] if event["kind"] == "add" and event["source"]["kind"] == "api_key")
    assert f'value="{first["source"]["id"]}"' in (await ann.get(f"{ann.project}/activity")).text
    since = re.findall(r'name="since" value="([^"]+)"', (await ann.get(f"{ann.project}/activity")).text)[-1]
    undo = {"source_id": first["source"]["id"], "since": since}
    assert "Undone" in await ann.see(await ann.do(f"{ann.project}/activity/undo", undo))
    memories = await ann.see(f"{ann.project}/memories")
    assert LISBON in memories
    assert "A wrong memory." not in memories
    assert "A wrong memory." in await ann.see(f"{ann.project}/trash")


async def test_one_visit_of_a_memory_is_one_read_of_the_person(ann: Visitor) -> None:
    memory_id = await ann.remember(f"# {LISBON}")
    await ann.see(f"/dashboard/memories/{memory_id}")
    page = await ann.see(f"{ann.project}/activity?kind=read")
    assert page.count(f"alice read {LISBON} in the dashboard") == 1
    assert page.count(LISBON) == 1
    assert "alice in the dashboard Read 1 memory" in await ann.see(ann.project)


async def test_an_incomplete_form_undoes_nothing(ann: Visitor) -> None:
    answer = await ann.post(f"{ann.project}/activity/undo", {"source_id": "nobody", "since": "soon"})
    assert answer.status_code == 400
    assert "the form is incomplete" in answer.text


async def test_activity_names_the_memory_and_filters_by_kind_and_source(ann: Visitor) -> None:
    memory_id = await ann.remember(LISBON)
    await ann.client.post("/api/memories/search", json={"query": "flat"}, headers=ann.tenant.auth)
    page = await ann.get(f"{ann.project}/activity")
    assert f'href="/dashboard/memories/{memory_id}">{LISBON}</a>' in page.text
    added = await ann.see(f"{ann.project}/activity?kind=add")
    assert LISBON in added
    assert "Question:" not in added
    source = re.search(r"\?source=(key_\w+)", page.text)
    assert source
    assert "Question: “flat”" in await ann.see(f"{ann.project}/activity?source={source[1]}&kind=search")
    assert "No such activity" in await ann.see(f"{ann.project}/activity?kind=restore")
    for odd in ("kind=painting", "source=nobody"):
        assert (await ann.get(f"{ann.project}/activity?{odd}")).status_code == 400
    await ann.client.delete(f"/api/memories/{memory_id}?permanent=true", headers=ann.tenant.auth)
    assert LISBON not in (await ann.get(f"{ann.project}/activity?kind=add")).text


async def test_the_overview_says_what_each_assistant_did(ann: Visitor) -> None:
    await ann.remember_all([LISBON, "Tom plays chess."])
    for _ in range(2):
        await ann.client.post("/api/memories/search", json={"query": "flat"}, headers=ann.tenant.auth)
    await ann.see(f"{ann.project}/activity")  # writes what was noted
    page = await ann.see(ann.project)
    assert re.search(r"all \w+ Searched 2 times, added 2 memories", page)


async def test_the_command_line_is_one_filter(
    ann: Visitor, command: Callable[..., Awaitable[int]], tmp_path: Path
) -> None:
    file = tmp_path / "notes.jsonl"
    file.write_text('{"content": "The red canoe."}\n')
    project = ann.project.rpartition("/")[2]
    assert await command("import", "--project", project, str(file)) == 0
    for _ in range(2):
        assert await command("export", "--project", project) == 0
    assert (await ann.see(f"{ann.project}/activity")).count("via Command line") == 1
    page = await ann.see(f"{ann.project}/activity?source=command")
    assert "Command line imported 1 memory Undo from here" in page
    assert "Command line exported 1 memory" in page
    assert "via Command line ×" in page
    assert "Command line Imported 1 memory, exported 2 times" in await ann.see(ann.project)


async def test_admins_see_what_reaches_their_project_and_others_do_not(ann: Visitor, viewer: Visitor) -> None:
    await viewer.client.post(
        f"/api{ann.project.removeprefix('/dashboard')}/api-keys",
        json={"name": "Bobs reader", "permissions": ["read"]},
        headers={"Origin": ORIGIN},
    )
    page = await ann.see(f"{ann.project}/members")
    assert "Bobs reader API key Read only" in page
    assert "all API key Read and write" in page
    assert "Bobs reader" not in await viewer.see(f"{ann.project}/members")
    assert "What each role can do" in await viewer.see(f"{ann.project}/members")


async def test_a_look_at_nothing_is_no_activity(ann: Visitor) -> None:
    for page in (ann.project, f"{ann.project}/memories", f"{ann.project}/trash"):
        await ann.see(page)
    assert "No activity yet" in await ann.see(f"{ann.project}/activity")


async def test_a_change_on_a_page_is_not_also_a_read(ann: Visitor) -> None:
    memory_id = await ann.remember(LISBON)
    page = f"/dashboard/memories/{memory_id}"
    await ann.do(f"{page}/pin", {"pinned": "1"})
    await ann.do(f"{page}/edit", {"text": f"{LISBON} It has a balcony."})
    await ann.post(f"{page}/delete")
    assert "No such activity" in await ann.see(f"{ann.project}/activity?kind=read")


async def test_equal_reads_in_a_row_are_one_line_and_changes_are_not(ann: Visitor) -> None:
    memory_id = await ann.remember(LISBON)
    for _ in range(3):
        await ann.see(f"{ann.project}/memories")
    for text in ("One.", "Two."):
        await ann.do(f"/dashboard/memories/{memory_id}/edit", {"text": text})
    await ann.see(f"{ann.project}/memories")
    page = await ann.see(f"{ann.project}/activity")
    assert page.count("alice listed 1 memory") + page.count("alice listed Two.") == 2, page
    assert "3 times in the dashboard" in page
    assert page.count("alice changed Two. in the dashboard Undo from here") == 2


async def test_a_memory_that_left_the_trash_meanwhile_is_not_restored_and_the_page_says_so(ann: Visitor) -> None:
    memory_id = await ann.remember("Anna likes the window seat.")
    deleted = await ann.shown(f"/dashboard/memories/{memory_id}/delete")
    await ann.do(f"{ann.project}/trash/{memory_id}/delete")
    refused = await ann.post(f"{ann.project}/memories/restore", {"kept": hidden(deleted, "kept")})
    assert refused.status_code == 400
    assert "Nothing was restored: the memory has left the trash" in seen(refused)


async def test_the_page_after_a_deletion_counts_what_is_left(ann: Visitor) -> None:
    memory_id = await ann.remember("Anna likes tea.")
    await ann.remember("Anna likes rum.")
    deleted = await ann.shown(f"/dashboard/memories/{memory_id}/delete")
    assert "1 memory in" in seen(deleted)
