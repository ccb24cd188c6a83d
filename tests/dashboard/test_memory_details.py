"""The form of a memory: its labels, and the rows of its other details, whose types stay the same."""

from datetime import datetime

from server.models.base import JSON, now
from tests.support.forms import fields_of
from tests.support.visitors import Fields, Visitor, seen

KINDS: dict[str, tuple[JSON, str]] = {
    "text": ("window seat", "text"),
    "spaces": ("  two spaces  ", "text"),
    "lines": ("\nfirst\nsecond", "text"),
    "windows lines": ("first\r\nsecond", "json"),
    "digits": ("007", "text"),
    "truth as text": ("true", "text"),
    "empty": ("", "text"),
    "whole": (3, "number"),
    "fraction": (-2.5, "number"),
    "float": (3.0, "number"),
    "large": (10**400, "number"),
    "yes": (True, "boolean"),
    "no": (False, "boolean"),
    "due": ("2026-02-22", "date"),
    "not a day": ("2026-02-30", "text"),
    "week": ("2026-W08-7", "text"),
    "list": (["Anna", "Tom"], "list"),
    "no list": ([], "list"),
    "comma in a list": (["Lisbon, Portugal"], "json"),
    "blank in a list": (["", "a"], "json"),
    "numbers": ([1, 2], "json"),
    "nested": ({"city": {"name": "Lisbon", "tags": []}}, "json"),
    "nothing": (None, "json"),
    " spaced ": ("kept", ""),
    "two\nlines": ("kept", ""),
}
EVERYTHING: dict[str, object] = {name: value for name, (value, _) in KINDS.items()}


async def test_the_form_says_how_a_memory_gets_a_name(ann: Visitor) -> None:
    said = "A detail named title is the memory’s name."
    memory_id = await ann.remember("tea")
    assert said in seen(await ann.get(f"{ann.project}/memories/new"))
    assert said in seen(await ann.get(f"/dashboard/memories/{memory_id}/edit"))


async def metadata_of(ann: Visitor, memory_id: str) -> dict[str, JSON]:
    answer = await ann.client.get(f"/api/memories/{memory_id}", headers=ann.tenant.auth)
    metadata: dict[str, JSON] = answer.json()["metadata"]
    return metadata


async def test_every_value_keeps_its_type_when_the_text_is_edited(ann: Visitor) -> None:
    labels = {"tags": ["travel", "Home"], "people_mentioned": ["Li, Dr", "Anna"], "topic_category": "plans"}
    memory_id = await ann.remember("Before.", **EVERYTHING, **labels)
    page = f"/dashboard/memories/{memory_id}"
    fields = fields_of(await ann.get(f"{page}/edit"))
    kinds = dict(zip(fields["names"], fields["kinds"], strict=True))
    assert kinds == {name: kind for name, (_, kind) in KINDS.items() if kind}
    fields["text"] = ["After."]
    assert await ann.do(f"{page}/edit", fields) == f"{page}?done=saved"
    assert await metadata_of(ann, memory_id) == {**EVERYTHING, **labels}
    assert await ann.do(f"{page}/edit", fields_of(await ann.get(f"{page}/edit"))) == f"{page}?done=unchanged"


async def test_a_label_keeps_the_form_in_which_it_was_sent(ann: Visitor) -> None:
    as_list = await ann.remember("A list.", tags=["travel", "Home"])
    as_text = await ann.remember("A text.", tags="travel,Home")
    for memory_id, after in ((as_list, ["travel", "Home", "work"]), (as_text, "travel, Home, work")):
        fields = fields_of(await ann.get(f"/dashboard/memories/{memory_id}/edit"))
        fields["tags"] = [fields["tags"][0] + ", work"]
        await ann.do(f"/dashboard/memories/{memory_id}/edit", fields)
        assert (await metadata_of(ann, memory_id))["tags"] == after
        fields = fields_of(await ann.get(f"/dashboard/memories/{memory_id}/edit"))
        await ann.do(f"/dashboard/memories/{memory_id}/edit", {**fields, "tags": ""})
        assert "tags" not in await metadata_of(ann, memory_id)


async def test_a_new_memory_has_the_types_that_were_chosen(ann: Visitor) -> None:
    rows = [
        ("mood", "text", " good"),
        ("count ", "number", "3"),
        ("half", "number", "0.5"),
        ("done", "boolean", "Yes"),
        ("due", "date", "2026-02-22"),
        ("cities", "list", "Lisbon, Porto,"),
        ("place", "json", '{"lat": 38.7}'),
        ("", "text", ""),
        ("", "boolean", ""),
    ]
    names, kinds, values = ([row[column] for row in rows] for column in range(3))
    location = await ann.do(
        f"{ann.project}/memories/new",
        {"text": "Typed.", "tags": "", "names": names, "kinds": kinds, "values": values},
    )
    assert await metadata_of(ann, location.split("/")[3].split("?")[0]) == {
        "mood": " good", "count": 3, "half": 0.5, "done": True, "due": "2026-02-22", "cities": ["Lisbon", "Porto"],
        "place": {"lat": 38.7},
    }  # fmt: skip


WRONG_VALUES = (
    ("number", "three", "enter a number such as 3 or 2.5."),
    ("number", "", "enter a number such as 3 or 2.5."),
    ("number", "1e999", "enter a number such as 3 or 2.5."),
    ("boolean", "perhaps", "enter true or false."),
    ("date", "22.2.2026", "enter a date such as 2026-02-22."),
    ("date", "2026-02-30", "enter a date such as 2026-02-22."),
    ("json", "{city: 1}", 'enter JSON such as {"city": "Lisbon"} or [1, 2].'),
    ("json", "[" * 100_000, 'enter JSON such as {"city": "Lisbon"} or [1, 2].'),
    ("colour", "red", "choose one of the kinds."),
)


async def test_a_wrong_value_is_named_at_its_field_and_nothing_is_lost(ann: Visitor) -> None:
    kept = {"text": ["Kept text."], "tags": ["kept-tag"], "user_id": ["Zoe"], "names": ["mood", "amount"]}
    for kind, value, reason in WRONG_VALUES:
        typed = {**kept, "kinds": ["text", kind], "values": ["good", value]}
        refused = await ann.post(f"{ann.project}/memories/new", typed)
        assert refused.status_code == 400
        assert f"amount: {reason}" in seen(refused)
        assert f'id="problem-1">{reason[0].upper()}' in refused.text
        fields = fields_of(refused)
        assert {name: fields[name] for name in kept} == kept
        assert fields["values"] == ["good", value]


async def test_a_wrong_name_is_refused(ann: Visitor) -> None:
    for name, reason in (
        ("mood ", "mood: another row has this name"),
        ("", "Other details: enter a name, or remove this row."),
        ("tags", "tags: this has its own field above"),
    ):
        typed: Fields = {"text": "x", "names": ["mood", name], "kinds": ["text", "text"], "values": ["a", "b"]}
        refused = await ann.post(f"{ann.project}/memories/new", typed)
        assert refused.status_code == 400
        assert reason in seen(refused)


async def test_rows_are_added_and_removed_without_script(ann: Visitor) -> None:
    memory_id = await ann.remember("Rows.", mood="good", count=3)
    page = f"/dashboard/memories/{memory_id}/edit"
    fields = fields_of(await ann.get(page))
    more = await ann.post(page, {**fields, "text": "Typed.", "row": "add"})
    assert more.status_code == 200
    fields = fields_of(more)
    assert (fields["text"], fields["names"]) == (["Typed."], ["mood", "count", ""])
    less = await ann.post(page, {**fields, "row": "remove-0"})
    fields = fields_of(less)
    assert fields["names"] == ["count", ""]
    await ann.do(page, fields)
    assert await metadata_of(ann, memory_id) == {"count": 3}


async def test_names_that_the_project_uses_are_suggested(ann: Visitor) -> None:
    await ann.remember("One.", mood="good", tags="travel")
    await ann.remember("Two.", mood="bad", **{"due date": "2026-02-22"})
    page = await ann.get(f"{ann.project}/memories/new")
    assert '<datalist id="known-names"><option value="mood"><option value="due date"></datalist>' in page.text


async def test_an_incomplete_form_changes_nothing(ann: Visitor) -> None:
    memory_id = await ann.remember("Rows.", mood="good")
    broken: Fields = {"text": "Changed.", "names": ["mood"], "kinds": [], "values": ["good"]}
    refused = await ann.post(f"/dashboard/memories/{memory_id}/edit", broken)
    assert refused.status_code == 400
    assert "The form is incomplete" in seen(refused)
    assert await metadata_of(ann, memory_id) == {"mood": "good"}


async def test_the_form_sets_changes_and_removes_the_expiry(ann: Visitor) -> None:
    location = await ann.do(f"{ann.project}/memories/new", {"text": "Brief.", "expires": "7"})
    page = location.partition("?")[0]

    async def days_left() -> float | None:
        answer = await ann.client.get(f"/api{page.removeprefix('/dashboard')}", headers=ann.tenant.auth)
        expires_at = answer.json()["expires_at"]
        return expires_at and round((datetime.fromisoformat(expires_at) - now()).total_seconds() / 86_400)

    assert await days_left() == 7
    fields = fields_of(await ann.get(f"{page}/edit"))
    await ann.do(f"{page}/edit", {**fields, "text": "Brief, edited."})
    assert await days_left() == 7
    fields = fields_of(await ann.get(f"{page}/edit"))
    await ann.do(f"{page}/edit", {**fields, "expires": "30"})
    assert await days_left() == 30
    await ann.do(f"{page}/edit", {**fields, "expires": "never"})
    assert await days_left() is None
    refused = await ann.post(f"{page}/edit", {**fields, "expires": "soon"})
    assert "Expires: choose one of the options." in seen(refused)


async def test_the_history_shows_a_change_from_a_number_to_true(ann: Visitor) -> None:
    memory_id = await ann.remember("Before.", flag=1, flags=[1])
    body = {"metadata": {"flag": True, "flags": [True]}}
    await ann.client.patch(f"/api/memories/{memory_id}", json=body, headers=ann.tenant.auth)
    page = (await ann.get(f"/dashboard/memories/{memory_id}")).text
    for name, before, after in (("flag", "1", "true"), ("flags", "[1]", "[true]")):
        assert f"<dt>{name}</dt><dd><del>{before}</del> <ins>{after}</ins></dd>" in page
