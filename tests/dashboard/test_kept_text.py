"""A text that somebody typed is not lost when the form cannot be saved."""

from collections.abc import AsyncIterator
from urllib.parse import urlencode

from server.domain.people import users
from server.storage.database import Database
from tests.support.forms import fields_of
from tests.support.visitors import Visitor, seen

LONG = "A text that took an hour to write.\r\n<b>Really</b>."


async def test_a_form_that_is_sent_after_the_session_ended_can_be_sent_again(ann: Visitor) -> None:
    path = f"{ann.project}/memories/new"
    cookies = dict(ann.client.cookies)
    ann.client.cookies.clear()
    kept = await ann.post(path, {"text": LONG, "tags": "one, two"})
    assert kept.status_code == 401
    assert "Nothing was saved yet" in seen(kept)
    assert 'href="/sign-in" target="_blank"' in kept.text
    assert "<b>Really</b>" not in kept.text
    ann.client.cookies.update(cookies)  # signed in again, in another tab
    again = await ann.do(path, fields_of(kept))
    assert "done=" in again
    listed = (await ann.client.get("/api/memories", headers=ann.tenant.auth)).json()["results"]
    assert [(memory["content"], memory["metadata"]["tags"]) for memory in listed] == [
        (LONG.replace("\r\n", "\n"), "one, two")
    ]


async def test_a_text_is_kept_when_the_session_ends_while_the_form_arrives(ann: Visitor, database: Database) -> None:
    async def form() -> AsyncIterator[bytes]:
        with database.write() as session:
            users.end_sessions(session, ann.tenant.user_id)
        yield urlencode({"text": LONG}).encode()

    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    kept = await ann.client.post(f"{ann.project}/memories/new", content=form(), headers=headers)
    assert (kept.status_code, "Nothing was saved yet" in seen(kept)) == (401, True)
    assert "A text that took an hour to write." in seen(kept)


async def test_a_form_without_a_text_still_leads_to_signing_in(ann: Visitor) -> None:
    ann.client.cookies.clear()
    for fields in ({"name": "Key"}, {"text": "  "}, {}):
        answer = await ann.post(f"{ann.project}/keys", fields)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Fdashboard")


async def test_a_text_of_another_site_is_not_shown(ann: Visitor) -> None:
    ann.client.cookies.clear()
    answer = await ann.client.post(
        f"{ann.project}/memories/new", data={"text": "Evil"}, headers={"Origin": "https://evil.example"}
    )
    assert "Evil" not in answer.text


async def test_an_edit_of_a_memory_that_was_deleted_meanwhile_shows_the_text(ann: Visitor) -> None:
    memory_id = await ann.remember("Short.")
    page = f"/dashboard/memories/{memory_id}/edit"
    fields = fields_of(await ann.get(page))
    deleted = await ann.client.delete(f"/api/memories/{memory_id}", headers=ann.tenant.auth)
    assert deleted.status_code == 200
    answer = await ann.post(page, {**fields, "text": [LONG]})
    assert answer.status_code == 404
    assert "A text that took an hour to write." in seen(answer)
    assert "which was not saved" in seen(answer)
