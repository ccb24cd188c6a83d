"""A form of an outdated version saves nothing until the user has seen what somebody else changed."""

from tests.support.forms import fields_of
from tests.support.visitors import Fields, Visitor, seen


async def patch(ann: Visitor, memory_id: str, **changes: object) -> None:
    response = await ann.client.patch(f"/api/memories/{memory_id}", json=changes, headers=ann.tenant.auth)
    assert response.status_code == 200, response.text


async def open_form(ann: Visitor, text: str, **metadata: object) -> tuple[str, str, dict[str, list[str]]]:
    """Return the id of a new memory, its page, and the fields of its form."""
    memory_id = await ann.remember(text, **metadata)
    page = f"/dashboard/memories/{memory_id}"
    return memory_id, page, fields_of(await ann.get(f"{page}/edit"))


async def stored(ann: Visitor, memory_id: str) -> tuple[str, dict[str, object]]:
    memory = (await ann.client.get(f"/api/memories/{memory_id}", headers=ann.tenant.auth)).json()
    return memory["content"], memory["metadata"]


async def test_an_old_form_does_not_overwrite_the_change_of_somebody_else(ann: Visitor) -> None:
    memory_id, page, fields = await open_form(ann, "I like tea.", tags="drinks", mood="good", count=3)
    await patch(ann, memory_id, content="I like green tea.", metadata={"mood": "bad", "place": "home"})
    fields = {**fields, "text": ["I like black tea."], "topic_category": ["taste"]}
    refused = await ann.post(f"{page}/edit", fields)
    assert refused.status_code == 409
    assert "changed by alice via " in seen(refused)
    assert "in the meantime. Check the text, then save again." in seen(refused)
    assert "<ins>green" in refused.text
    assert "<del>good</del> <ins>bad</ins>" in refused.text
    assert (await stored(ann, memory_id))[0] == "I like green tea."
    fields = fields_of(refused)
    assert (fields["text"], fields["topic_category"]) == (["I like black tea."], ["taste"])
    assert await ann.do(f"{page}/edit", fields) == f"{page}?done=saved"
    assert await stored(ann, memory_id) == (
        "I like black tea.",
        {"tags": "drinks", "topic_category": "taste", "mood": "bad", "place": "home", "count": 3},
    )


async def test_what_the_person_did_not_touch_takes_the_new_values(ann: Visitor) -> None:
    memory_id, page, fields = await open_form(ann, "Two\r\nlines.", tags="a", gone="x", mine="old")
    await patch(ann, memory_id, content="Three\nlines.", tags=["b"], metadata={"gone": None})
    values = ["new" if name == "mine" else value for name, value in zip(fields["names"], fields["values"], strict=True)]
    merged = fields_of(await ann.post(f"{page}/edit", {**fields, "values": values}))
    assert (merged["text"], merged["tags"]) == (["Three\r\nlines."], ["b"])
    assert dict(zip(merged["names"], merged["values"], strict=True)) == {"mine": "new"}


async def test_a_second_change_in_the_meantime_is_shown_too(ann: Visitor) -> None:
    memory_id, page, fields = await open_form(ann, "One.")
    fields["text"] = ["Mine."]
    for text in ("Two.", "Three."):
        await patch(ann, memory_id, content=text)
        refused = await ann.post(f"{page}/edit", fields)
        assert refused.status_code == 409
        assert f"<ins>{text[:-1]}</ins>" in refused.text
        fields = fields_of(refused)
    assert await ann.do(f"{page}/edit", fields) == f"{page}?done=saved"


async def test_a_form_keeps_its_version_while_rows_are_added(ann: Visitor) -> None:
    memory_id, page, fields = await open_form(ann, "One.")
    await patch(ann, memory_id, content="Two.")
    fields = fields_of(await ann.post(f"{page}/edit", {**fields, "row": "add"}))
    assert (await ann.post(f"{page}/edit", {**fields, "text": "Mine."})).status_code == 409


async def test_a_pin_and_the_same_change_are_no_reason_to_ask(ann: Visitor) -> None:
    memory_id, page, fields = await open_form(ann, "One.")
    await patch(ann, memory_id, pinned=True)
    assert await ann.do(f"{page}/edit", {**fields, "text": "Two."}) == f"{page}?done=saved"
    assert await ann.do(f"{page}/edit", {**fields, "text": "Two."}) == f"{page}?done=unchanged"


async def test_an_unknown_version_is_asked_about(ann: Visitor) -> None:
    _, page, fields = await open_form(ann, "One.")
    for version in ("0", "99"):
        changed: Fields = {**fields, "text": "Two.", "version": version}
        refused = await ann.post(f"{page}/edit", changed)
        assert (refused.status_code, fields_of(refused)["text"]) == (409, ["Two."])
