"""Actions on several selected memories: pin, tag, move, export, delete."""

import html
import io
import json
import re
import zipfile
from collections.abc import Sequence

import httpx
import pytest

from server.domain.memory.labels import MOST_VALUES
from server.storage import chunks
from tests.conftest import ORIGIN
from tests.support.visitors import Visitor, hidden, seen

TEXTS = ["Anna likes the window seat.", "Tom plays chess.", "The tram leaves at nine."]


async def act(ann: Visitor, action: str, ids: Sequence[str], **fields: str) -> httpx.Response:
    return await ann.post(f"{ann.project}/memories/selected", {"action": action, "ids": list(ids), **fields})


async def stored(ann: Visitor, memory_id: str) -> dict[str, object]:
    answer = await ann.client.get(f"/api/memories/{memory_id}", headers=ann.tenant.auth)
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


async def other_project(ann: Visitor, name: str = "Second") -> str:
    body = {"name": name, "organization_id": ann.tenant.organization_id}
    created = await ann.client.post("/api/projects", json=body, headers={"Origin": ORIGIN})
    assert created.status_code == 200, created.text
    return str(created.json()["id"])


async def test_selected_memories_are_pinned_and_unpinned_and_the_list_stays(ann: Visitor) -> None:
    first, second, third = await ann.remember_all(TEXTS)
    answer = await act(ann, "pin", [first, second], back="?sort=newest")
    assert answer.headers["location"] == f"{ann.project}/memories?sort=newest&done=selected-pin&count=2"
    assert [(await stored(ann, one))["pinned"] for one in (first, second, third)] == [True, True, False]
    assert "Pinned" in await ann.see(f"{ann.project}/memories?pinned=1")
    await act(ann, "unpin", [first])
    assert (await stored(ann, first))["pinned"] is False


async def test_selected_memories_get_tags_in_addition_to_their_own(ann: Visitor) -> None:
    first = await ann.remember(TEXTS[0], tags="travel, Home")
    second = await ann.remember(TEXTS[1], tags=["games"])
    await act(ann, "tag", [first, second], new_tags="home, new")
    page = await ann.see(f"{ann.project}/memories?tags=new")
    assert TEXTS[0] in page
    assert TEXTS[1] in page
    for memory_id, count in ((first, 3), (second, 3)):
        metadata = (await stored(ann, memory_id))["metadata"]
        assert isinstance(metadata, dict)
        tags = metadata["tags"]
        assert len(tags if isinstance(tags, list) else tags.split(",")) == count
    assert (await act(ann, "tag", [first], new_tags=" ")).status_code == 400


async def test_a_tag_that_a_memory_has_does_not_change_it(ann: Visitor) -> None:
    memory_id = await ann.remember(TEXTS[0], tags="travel, Home")
    await act(ann, "tag", [memory_id], new_tags="home")
    history = await ann.get(f"/api/memories/{memory_id}/history")
    assert len(history.json()["results"]) == 1


async def test_tags_that_one_memory_cannot_take_are_added_to_none(
    ann: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "TURN_SECONDS", -1)  # each memory in a transaction of its own
    ids = [
        await ann.remember(TEXTS[0], tags="home"),
        await ann.remember(TEXTS[1], tags=list(map(str, range(MOST_VALUES)))),
    ]
    for selected in (ids, ids[::-1]):
        answer = await act(ann, "tag", selected, new_tags="new")
        assert answer.status_code == 400
        assert "choose fewer memories" in answer.text
    assert (await stored(ann, ids[0]))["metadata"] == {"tags": "home"}


async def test_selected_memories_go_to_the_trash(ann: Visitor) -> None:
    first, second, third = await ann.remember_all(TEXTS)
    assert (await act(ann, "delete", [first, second])).status_code == 303
    page = await ann.see(f"{ann.project}/trash")
    assert TEXTS[0] in page
    assert TEXTS[1] in page
    assert (await stored(ann, third))["content"] == TEXTS[2]


async def test_selected_memories_are_exported(ann: Visitor) -> None:
    first, _, third = await ann.remember_all(TEXTS)
    answer = await act(ann, "export", [first, third])
    assert answer.status_code == 200
    assert "attachment" in answer.headers["content-disposition"]
    assert [json.loads(line)["content"] for line in answer.text.splitlines()] == [TEXTS[0], TEXTS[2]]


async def test_memories_move_to_another_project_as_they_are(ann: Visitor) -> None:
    first, second, _ = await ann.remember_all(TEXTS, tags="kept")
    await ann.client.put(f"/api/memories/{first}", json={"text": "Anna likes the aisle."}, headers=ann.tenant.auth)
    target = await other_project(ann)
    assert (await act(ann, "move", [first, second], target=target)).status_code == 303
    assert TEXTS[1] not in await ann.see(f"{ann.project}/memories")
    found = await ann.see(f"/dashboard/projects/{target}/memories?q=chess&tags=kept")
    assert "Tom plays chess" in found
    page = await ann.see(f"/dashboard/memories/{first}")
    assert "Anna likes the aisle." in page
    assert "1 earlier version" in page
    assert "The trash is empty" in await ann.see(f"{ann.project}/trash")


@pytest.mark.parametrize("target", ["", "proj_nobody", "own", "foreign"])
async def test_memories_move_only_where_one_may_write(ann: Visitor, ben: Visitor, target: str) -> None:
    memory_id = await ann.remember(TEXTS[0])
    ids = {"own": ann.tenant.project_id, "foreign": ben.tenant.project_id}
    assert (await act(ann, "move", [memory_id], target=ids.get(target, target))).status_code in (400, 404)
    assert TEXTS[0] in await ann.see(f"{ann.project}/memories")


async def test_nothing_happens_to_memories_of_other_projects(ann: Visitor, ben: Visitor) -> None:
    foreign = await ben.remember("Hers.")
    own = await ann.remember(TEXTS[0])
    assert (await act(ann, "delete", [foreign, own, "mem_nobody"])).status_code == 303
    assert "Hers." in await ben.see(f"{ben.project}/memories")
    assert TEXTS[0] not in await ann.see(f"{ann.project}/memories")
    exported = await act(ann, "export", [foreign])
    assert exported.text == ""


async def test_an_empty_selection_and_an_unknown_action_are_refused(ann: Visitor) -> None:
    memory_id = await ann.remember(TEXTS[0])
    assert "Select at least one memory." in seen(await act(ann, "delete", []))
    assert "Select at most 100 memories at a time." in seen(await act(ann, "export", [memory_id] * 301))
    assert "It may have at most 1,000 fields and one file." in seen(await act(ann, "delete", [memory_id] * 1001))
    assert "Choose a project" in seen(await act(ann, "move", [memory_id]))
    assert "Choose what to do" in seen(await act(ann, "paint", [memory_id]))
    assert (await act(ann, "delete", [memory_id] * 2)).status_code == 303


async def test_viewers_export_a_selection_and_change_nothing(ann: Visitor, viewer: Visitor) -> None:
    memory_id = await ann.remember(TEXTS[0])
    page = await viewer.get(f"{ann.project}/memories")
    assert 'value="export"' in page.text
    assert 'value="delete"' not in page.text
    for action in ("pin", "unpin", "tag", "move", "delete"):
        fields = {"action": action, "ids": memory_id, "new_tags": "x", "target": viewer.tenant.project_id}
        assert (await viewer.post(f"{ann.project}/memories/selected", fields)).status_code == 403, action
    assert (await viewer.post(f"{ann.project}/memories/selected", {"action": "export", "ids": memory_id})).text


async def test_memories_move_only_to_projects_that_take_them(ann: Visitor, viewer: Visitor) -> None:
    for visitor in (ann, viewer):
        await visitor.remember(TEXTS[0])
        assert "To project" not in await visitor.see(f"{visitor.project}/memories")
    await other_project(ann)
    assert "To project Second (Personal)" in await ann.see(f"{ann.project}/memories")


async def test_a_refused_action_keeps_the_list_and_the_selection(ann: Visitor) -> None:
    first = await ann.remember(TEXTS[0], tags="travel")
    await ann.remember(TEXTS[1])
    refused = await act(ann, "tag", [first], back="?tags=travel")
    assert refused.status_code == 400
    assert TEXTS[1] not in seen(refused)
    assert f'value="{first}" checked' in refused.text


async def test_without_trash_every_deletion_warns_first(ann: Visitor) -> None:
    one, two, three, same, twin = await ann.remember_all([*TEXTS, "Same.", "Same."])
    await ann.do(f"{ann.project}/change", {"name": "Brief", "trash_days": "0"})
    listed = f"{ann.project}/memories"
    forms: dict[str, dict[str, str | list[str]]] = {
        f"/dashboard/memories/{one}/delete": {},
        f"{listed}/selected": {"action": "delete", "ids": [two, three], "back": "?tags="},
        f"{ann.project}/similar/merge": {"keep": same, "ids": [same, twin]},
    }
    warnings = ("this memory and its history are", "these 2 memories and their history are", "this memory and its")
    for (path, fields), warning in zip(forms.items(), warnings, strict=True):
        warned = await ann.post(path, fields)
        assert f"This project has no trash, so {warning}" in seen(warned)
        assert "5 memories" in await ann.see(listed)
    for path, fields in forms.items():
        page = await ann.post(path, fields)
        sent_again = {name: fields.get(name, hidden(page, name)) for name in (*fields, "permanently")}
        done = await ann.post(path, sent_again)
        shown = seen(done) if done.status_code == 200 else await ann.see(done.headers["location"])
        assert "deleted" in shown or "merged" in shown
        assert "from the trash" not in shown
    assert "1 memory" in await ann.see(listed)
    assert "This project has no trash" in await ann.see(f"{ann.project}/trash")


async def test_with_a_trash_no_deletion_asks(ann: Visitor) -> None:
    first, second = await ann.remember_all(TEXTS[:2])
    assert "Memory deleted." in seen(await ann.shown(f"/dashboard/memories/{first}/delete"))
    assert (await act(ann, "delete", [second])).status_code == 303


async def test_without_trash_a_viewer_is_refused_without_a_warning(ann: Visitor, viewer: Visitor) -> None:
    memory_id = await ann.remember(TEXTS[0])
    await ann.do(f"{ann.project}/change", {"name": "Brief", "trash_days": "0"})
    assert (await viewer.post(f"/dashboard/memories/{memory_id}/delete")).status_code == 403
    refused = await act(ann, "delete", [])
    assert "Select at least one memory" in seen(refused)


async def test_pages_say_how_many_memories_something_was_done_with(ann: Visitor) -> None:
    first, second, third = await ann.remember_all(TEXTS)
    fields = {"new_tags": "x", "target": await other_project(ann)}
    for action, ids, message in (
        ("pin", [first, second], "2 memories pinned."),
        ("tag", [first, "mem_gone"], "Tags added to 1 memory."),
        ("move", [third], "1 memory moved."),
        ("delete", [first, second, third], "2 memories deleted."),
        ("delete", [first, second], "Nothing was deleted: the memories are already gone."),
        ("tag", [first], "No tags were added: the memories are already gone."),
        ("pin", [first], "Nothing was pinned"),
        ("unpin", [first], "Nothing was unpinned"),
        ("move", [first], "Nothing was moved"),
    ):
        done = await act(ann, action, ids, **fields)
        assert message in await ann.see(done.headers["location"])
    everything = f"{ann.project}/delete-memories"
    await ann.remember("One.")
    for message in ("1 memory deleted.", "Nothing was deleted: there are no such memories."):
        assert message in await ann.see(await ann.do(everything, {"confirm": "My Memories"}))


def row_actions(page: str, memory_id: str) -> str:
    """Return the markup of one row's own actions."""
    return next(row for row in page.split('<details class="confirm more">') if f"{memory_id}/edit" in row)


async def test_each_row_has_its_own_actions_in_lists_and_results(ann: Visitor) -> None:
    memory_id = await ann.remember("A plan.")
    for query in ("", "?q=plan"):
        row = row_actions((await ann.get(f"{ann.project}/memories{query}")).text, memory_id)
        assert f'aria-labelledby="actions text-{memory_id}"' in row
        assert f'form="pin-one" name="ids" value="{memory_id}"' in row
        assert f'action="/dashboard/memories/{memory_id}/delete"' in row
    await act(ann, "pin", [memory_id])
    assert 'form="unpin-one"' in row_actions((await ann.get(f"{ann.project}/memories")).text, memory_id)


async def test_viewers_get_no_row_actions(ann: Visitor, viewer: Visitor) -> None:
    await ann.remember(TEXTS[0])
    page = (await viewer.get(f"{ann.project}/memories")).text
    assert TEXTS[0] in page
    assert "Actions for" not in page
    assert "pin-one" not in page


async def test_a_filtered_list_leads_to_an_export_of_all_that_it_matches(ann: Visitor) -> None:
    await ann.remember_all(TEXTS[:2], tags="travel")
    await ann.remember(TEXTS[2], tags="travels")
    page = await ann.get(f"{ann.project}/memories?tags=travel")
    links = re.findall(rf'href="({ann.project}/export[^"]*)" download', page.text)
    exports = [await ann.get(html.unescape(link)) for link in links]
    with zipfile.ZipFile(io.BytesIO(exports[1].content)) as notes:
        assert len(notes.namelist()) == 2
    for export in (exports[0], exports[2]):
        assert [text in export.text for text in TEXTS] == [True, True, False]


async def test_an_export_refuses_what_it_cannot_narrow_by(ann: Visitor) -> None:
    await ann.remember_all(TEXTS)
    answer = await ann.get(f"{ann.project}/export?q=chess")
    assert (answer.status_code, TEXTS[0] in answer.text) == (400, False)
    assert "Export what passes filters instead." in seen(answer)
    answer = await ann.get(f"{ann.project}/export?tag=travel")
    assert (answer.status_code, TEXTS[0] in answer.text) == (400, False)
    assert "did you mean tags?" in seen(answer)


async def test_a_deletion_of_several_memories_can_be_undone_at_once(ann: Visitor) -> None:
    first, *others = await ann.remember_all(TEXTS, tags="travel")
    await ann.do(f"/dashboard/memories/{first}/delete")
    page = await ann.get((await act(ann, "delete", others, back="?tags=travel")).headers["location"])
    assert "2 memories deleted." in seen(page)
    form = {name: hidden(page, name) for name in ("deleted_since", "deleted_until", "back")}
    undone = await ann.do(f"{ann.project}/memories/undo-deletion", form)
    assert undone == f"{ann.project}/memories?tags=travel&done=selected-restore&count=2"
    shown = await ann.see(undone)
    assert "2 memories restored." in shown
    assert TEXTS[0] not in shown, "what was deleted before stays in the trash"
    assert "Nothing was restored" in seen(await ann.shown(f"{ann.project}/memories/undo-deletion", form))
    assert (await ann.post(f"{ann.project}/memories/undo-deletion", {"deleted_since": "x"})).status_code == 400
