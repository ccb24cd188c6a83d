"""A list of memories shows the name of each, whether its text repeats it or not."""

import pytest

from tests.support.visitors import Visitor

PADDING = "Nothing of note happened on that day. " * 20


async def listed(ann: Visitor, content: str, question: str = "") -> str:
    body = {"content": content, "metadata": {"title": "Trip to Rome"}, "project_id": ann.tenant.project_id}
    assert (await ann.client.post("/api/memories", json=body)).status_code == 200
    return (await ann.get(f"{ann.project}/memories?q={question}")).text


@pytest.mark.parametrize(
    "content",
    ["We took the train.", "# Trip to Rome\n\nWe took the train.", "trip to rome\nWe took the train.", "Trip to Rome"],
)
async def test_a_name_is_set_off_and_shown_once(ann: Visitor, content: str) -> None:
    page = await listed(ann, content)
    row = page.partition('class="memory')[2]
    assert "<b>Trip to Rome</b>" in page or "<b>trip to rome</b>" in page
    assert row.lower().count("trip to rome") == row.lower().count("<b>trip to rome</b>")


async def test_a_sentence_that_begins_with_the_name_stays_whole(ann: Visitor) -> None:
    page = await listed(ann, "Trip to Rome by train.")
    assert "Trip to Rome by train." in page
    assert "<b>Trip to Rome" not in page


async def test_a_result_from_the_middle_of_a_text_has_the_name(ann: Visitor) -> None:
    page = await listed(ann, f"# Trip to Rome\n\n{PADDING}\n\nThe pangolin slept.\n\n{PADDING}", "pangolin")
    assert "<mark>pangolin</mark>" in page
    assert "<b>Trip to Rome</b>" in page


async def test_a_conversation_below_its_name_looks_like_one(ann: Visitor) -> None:
    page = await listed(ann, "Trip to Rome\nuser: By train?\nassistant: By bus.")
    assert '<b class="speaker">User</b> By train?' in page
    assert '<b class="speaker">Assistant</b> By bus.' in page
    assert ">Conversation</span>" in page
