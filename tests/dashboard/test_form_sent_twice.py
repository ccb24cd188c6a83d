"""The form that adds a memory may be sent twice: by a double click without script, or after the button Back."""

import asyncio

from tests.dashboard.test_memories import form
from tests.support.forms import fields_of
from tests.support.visitors import Fields, Visitor


async def opened(ann: Visitor, text: str, **more: str) -> Fields:
    return {**fields_of(await ann.get(f"{ann.project}/memories/new")), **form(text, **more)}


async def contents(ann: Visitor) -> list[str]:
    listed = (await ann.client.get("/api/memories", headers=ann.tenant.auth)).json()["results"]
    return [memory["content"] for memory in listed]


async def test_it_adds_one_memory(ann: Visitor) -> None:
    path, fields = f"{ann.project}/memories/new", await opened(ann, "Anna likes tea.", expires="7")
    first, second = await asyncio.gather(ann.do(path, fields), ann.do(path, fields))
    assert first == second == await ann.do(path, fields)
    assert await contents(ann) == ["Anna likes tea."]


async def test_another_text_or_another_form_adds_another(ann: Visitor) -> None:
    path, fields = f"{ann.project}/memories/new", await opened(ann, "Tea.")
    await ann.do(path, fields)
    await ann.do(path, {**fields, "text": "Rum."})
    await ann.do(path, await opened(ann, "Tea."))
    assert await contents(ann) == ["Tea.", "Rum.", "Tea."]


async def test_what_was_deleted_meanwhile_is_added_again(ann: Visitor) -> None:
    path, fields = f"{ann.project}/memories/new", await opened(ann, "Tea.")
    page = (await ann.do(path, fields)).partition("?")[0]
    await ann.do(f"{page}/delete")
    assert "Tea." in (await ann.shown(path, fields)).text


async def test_a_refused_form_that_comes_back_is_the_same(ann: Visitor) -> None:
    path, fields = f"{ann.project}/memories/new", await opened(ann, " ")
    again: Fields = {**fields_of(await ann.post(path, fields)), "text": "Tea."}
    assert await ann.do(path, again) == await ann.do(path, again)
