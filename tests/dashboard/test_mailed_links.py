"""Links in emails: reset a password, confirm an address, accept an invitation."""

import asyncio
import re
from collections import Counter
from html import unescape

import httpx
import pytest
import sqlalchemy as sa
from sqlmodel import Session

from server.domain.people import passwords
from server.models.base import metadata
from server.storage.database import Database
from tests.conftest import Tenant
from tests.support.browsers import COOKIE, PASSWORD, fresh, sign_in, sign_up
from tests.support.mail import Mailbox, link_in
from tests.support.mailing import letters, mailbox, settings

__all__ = ["letters", "mailbox", "settings"]


async def test_r07_r09_r10_a_reset_link_works_once_and_ends_all_sessions(
    client: httpx.AsyncClient, letters: Mailbox
) -> None:
    await sign_up(client)
    await letters.wait_for(1)
    browser = fresh(client)
    asked = await browser.post("/forgot-password", data={"email": "ANN@example.com"})
    unknown = await browser.post("/forgot-password", data={"email": "eve@example.com"})
    assert asked.status_code == unknown.status_code == 200
    assert asked.text.replace("ANN@", "eve@") == unknown.text
    await letters.wait_for(2)
    path = link_in(letters.letters[1])
    assert (await browser.get(path)).status_code == 200
    assert (await browser.post(path, data={"password": "short"})).status_code == 400
    done = await browser.post(path, data={"password": "another good one"})
    assert done.status_code == 200
    assert (await browser.get("/api/users/me")).json()["email_verified"] is True
    assert (await client.get("/api/users/me")).status_code == 401
    assert (await sign_in(fresh(client))).status_code == 401
    assert (await sign_in(fresh(client), password="another good one")).status_code == 303
    for answer in (await browser.get(path), await browser.post(path, data={"password": "one more good one"})):
        assert answer.status_code == 410
        assert "no longer works" in answer.text
        assert 'action="/forgot-password"' in answer.text


@pytest.mark.sqlite_only
async def test_an_outage_after_the_answer_is_one_line_in_the_log(
    client: httpx.AsyncClient, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await sign_up(client)
    with database.write() as session:
        session.execute(sa.text("ALTER TABLE mailed_tokens RENAME TO away"))  # SQLite calls it an outage
    answer = await fresh(client).post("/forgot-password", data={"email": "ann@example.com"})
    assert answer.status_code == 200
    assert [record.exc_info for record in caplog.records if record.getMessage() == "unavailable"] == [None]


async def test_a_first_password_keeps_the_keys_and_a_new_one_offers_to_revoke_them(
    client: httpx.AsyncClient, alice: Tenant, database: Database
) -> None:
    """`create-key` makes an account without a password, and its key."""
    for title, is_checked in (("Choose a password", False), ("Choose a new password", True)):
        with database.write() as session:
            _, token = passwords.issue_reset(session, alice.email)
        page = (await fresh(client).get(f"/reset-password/{token}")).text
        assert f'value="{alice.email}" autocomplete="username" hidden' in page, "a password manager needs the account"
        assert f"<h1>{title}</h1>" in page
        assert ("checked>" in page) is is_checked
        form = {"password": f"{title} 1", **({"end_access": "on"} if is_checked else {})}
        assert (await fresh(client).post(f"/reset-password/{token}", data=form)).status_code == 303
        answer = await fresh(client).get("/api/memories", headers=alice.auth)
        assert answer.status_code == (401 if is_checked else 200)


async def test_r09_of_many_uses_of_a_reset_link_at_once_one_counts(client: httpx.AsyncClient, letters: Mailbox) -> None:
    await sign_up(client)
    await letters.wait_for(1)
    await client.post("/forgot-password", data={"email": "ann@example.com"})
    await letters.wait_for(2)
    path = link_in(letters.letters[1])
    chosen = [f"another good one {number}" for number in range(6)]
    answers = await asyncio.gather(*(fresh(client).post(path, data={"password": one}) for one in chosen))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 410: 5}
    signed_in = [(await sign_in(fresh(client), password=one)).status_code for one in chosen]
    assert signed_in == [303 if answer.status_code == 200 else 401 for answer in answers]


async def test_r09_mailed_tokens_are_hashed_and_emails_are_encrypted(
    client: httpx.AsyncClient, letters: Mailbox, database: Database
) -> None:
    await sign_up(client)
    await letters.wait_for(1)
    token = link_in(letters.letters[0]).rpartition("/")[2]
    assert re.fullmatch(r"sm_ml_[0-9A-Za-z]{32}", token)
    with database.read() as session:
        assert token not in dump(session)
        assert client.cookies[COOKIE] not in dump(session)


async def test_a_mailed_link_confirms_the_address(client: httpx.AsyncClient, letters: Mailbox) -> None:
    await sign_up(client)
    await letters.wait_for(1)
    path = link_in(letters.letters[0])
    shown = await fresh(client).get(path)
    assert 'method="post"' in shown.text
    assert (await client.get("/api/users/me")).json()["email_verified"] is False
    assert (await fresh(client).post(path, data={"password": PASSWORD})).status_code == 200
    assert (await client.get("/api/users/me")).json()["email_verified"] is True
    assert (await client.get(path)).status_code == 410


async def test_opening_your_own_link_confirms_at_once(client: httpx.AsyncClient, letters: Mailbox) -> None:
    await sign_up(client)
    await letters.wait_for(1)
    assert (await client.get(link_in(letters.letters[0]))).status_code == 200
    assert (await client.get("/api/users/me")).json()["email_verified"] is True


async def test_an_invitation_leads_through_sign_up_and_back(client: httpx.AsyncClient, letters: Mailbox) -> None:
    await sign_up(client, "boss@example.com")
    await letters.wait_for(1)
    await client.get(link_in(letters.letters[0]))
    organization_id = (await client.post("/api/organizations", json={"name": "Lab"})).json()["id"]
    body = {"email": "ann@example.com", "role": "member"}
    sent = (await client.post(f"/api/organizations/{organization_id}/invitations", json=body)).json()
    assert sent["message"] == "Invitation created and mailed."
    path = link_in(next(letter for letter in letters.letters if letter["to"] == "ann@example.com"))
    assert path != f"/accept-invitation/{sent['token']}"
    foreign = await client.get(path)
    assert "You are signed in as boss@example.com" in foreign.text
    other = unescape(re.findall(r'href="([^"]*)">Use another account<', foreign.text)[0])
    assert path in (form := (await client.get(other)).text)
    assert 'value="ann@example.com"' in form
    guest = fresh(client)
    shown = await guest.get(path)
    href = re.findall(r'href="(/sign-up[^"]*)"', shown.text)[0]
    landed = await guest.post(href, data={"email": "ann@example.com", "password": PASSWORD})
    assert landed.headers["location"] == path
    assert 'value="accept"' in (await guest.get(path)).text
    accepted = await guest.post(path, data={"decision": "accept"})
    landing = f"/dashboard/organizations/{organization_id}/projects?done=accepted"
    assert (accepted.status_code, accepted.headers["location"]) == (303, landing)
    assert "Ask an admin of Lab to add you to one." in (await guest.get(landing)).text
    assert (await guest.get(f"/api/organizations/{organization_id}")).json()["role"] == "member"
    assert (await guest.get(path)).status_code == 410


def dump(session: Session) -> str:
    """Return every row of every table."""
    return "\n".join(str(row) for table in metadata.tables.values() for row in session.execute(sa.select(table)))
