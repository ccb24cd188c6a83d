"""A change of an account's address: who may ask for it, what proves the new one, and what ends with the old one."""

import re
from datetime import timedelta
from email.message import EmailMessage

import httpx
import sqlalchemy as sa

from server.models import MailedToken, User
from server.models.base import metadata, now
from server.storage.database import Database
from tests.dashboard.test_security_letters import let_time_pass, none_waits
from tests.dashboard.test_step_up import MEANT, age
from tests.support.browsers import COOKIE, PASSWORD, fresh, sign_in, sign_up
from tests.support.mail import Mailbox, link_in
from tests.support.mailing import letters, mailbox, mailed_link, settings, sign_up_confirmed
from tests.support.visitors import seen

__all__ = ["letters", "mailbox", "settings"]

OLD, NEW, OTHER = "ann@example.com", "ann@new.example", "other@example.com"
FORM = "/dashboard/account/email"
SENT = "/dashboard/account?done=change-sent"


async def ask(browser: httpx.AsyncClient, email: str = NEW) -> None:
    answer = await browser.post(FORM, data={"email": email})
    assert (answer.status_code, answer.headers.get("location")) == (303, SENT), answer.text


async def link_to(letters: Mailbox, email: str = NEW) -> str:
    return await mailed_link(letters, email, "/verify-email/")


async def change_requested(browser: httpx.AsyncClient, letters: Mailbox) -> str:
    """Sign up with a confirmed address, ask for a new one, and return the link in its letter."""
    await sign_up_confirmed(browser, letters, OLD)
    await ask(browser)
    return await link_to(letters)


async def address_of(browser: httpx.AsyncClient) -> tuple[str, bool]:
    """Return the account's address and whether it is confirmed."""
    me = (await browser.get("/api/users/me")).json()
    return me["email"], me["email_verified"]


def sent_to(letters: Mailbox, email: str) -> list[EmailMessage]:
    return [letter for letter in letters.letters if letter["to"] == email]


async def test_the_address_changes_when_the_link_is_opened_and_not_before(
    client: httpx.AsyncClient, letters: Mailbox, database: Database
) -> None:
    await sign_up_confirmed(client, letters, OLD)
    letters.letters.clear()
    await ask(client, " ANN@New.Example ")
    await letters.wait_for(2)
    assert await address_of(client) == (OLD, True)
    assert f"sent to {NEW}" in seen(await client.get("/dashboard/account"))
    [notice] = sent_to(letters, OLD)
    assert "asked to change the email address" in notice.get_content()
    assert link_in(notice) == "/forgot-password"
    path = await link_to(letters)
    await client.head(path)
    await client.get(path, headers={"Sec-Purpose": "prefetch;prerender"})
    assert await address_of(client) == (OLD, True)
    other_browser, value = fresh(client), client.cookies[COOKIE]
    await sign_in(other_browser)
    opened = await client.get(path)
    assert f"sign in with {NEW}" in seen(opened)
    assert client.cookies[COOKIE] != value
    assert await address_of(client) == (NEW, True)
    assert (await other_browser.get("/api/users/me")).status_code == 401
    assert (await sign_in(fresh(client))).status_code == 401
    assert (await sign_in(fresh(client), NEW)).status_code == 303
    await none_waits(database)
    assert "was changed" in sent_to(letters, OLD)[-1].get_content()
    page = seen(await client.get("/dashboard/account"))
    assert "Email address changed" in page
    assert "sent to" not in page


async def test_a_link_works_once_for_an_hour_and_is_hashed(
    client: httpx.AsyncClient, letters: Mailbox, database: Database
) -> None:
    path = await change_requested(client, letters)
    with database.read() as session:
        rows = [str(row) for table in metadata.sorted_tables for row in session.execute(table.select())]
    assert [row for row in rows if path.rpartition("/")[2] in row] == []
    with database.write() as session:
        session.execute(sa.update(MailedToken).values(expires_at=now() - timedelta(seconds=1)))
    assert (await client.get(path)).status_code == 410
    assert "sent to" not in seen(await client.get("/dashboard/account"))
    with database.write() as session:
        session.execute(sa.update(MailedToken).values(expires_at=now() + timedelta(hours=1)))
    assert (await client.get(path)).status_code == 200
    for answer in (await client.get(path), await client.post(path, data={"password": PASSWORD})):
        assert answer.status_code == 410


async def test_elsewhere_the_link_asks_for_the_accounts_password(client: httpx.AsyncClient, letters: Mailbox) -> None:
    """Somebody who asked for another person's address gains nothing when that person opens the link."""
    path = await change_requested(client, letters)
    stranger, other = fresh(client), fresh(client)
    await sign_up(other, OTHER)
    for browser in (stranger, other):
        page = await browser.get(path)
        assert 'name="password"' in page.text
        assert OLD not in page.text
        for fields in ({}, {"password": "not this one"}):
            assert (await browser.post(path, data=fields)).status_code == 400
    assert await address_of(client) == (OLD, True)
    done = await stranger.post(path, data={"password": PASSWORD})
    assert (done.status_code, f'href="/sign-in?email={NEW.replace("@", "%40")}"' in done.text) == (200, True)
    assert (await client.get("/api/users/me")).status_code == 401
    assert (await stranger.get("/api/users/me")).status_code == 401


async def test_an_account_without_a_password_confirms_with_its_session(
    client: httpx.AsyncClient, letters: Mailbox, database: Database
) -> None:
    path = await change_requested(client, letters)
    with database.write() as session:
        session.execute(sa.update(User).values(password_hash=None))
    page = await fresh(client).get(path)
    assert 'name="password"' not in page.text
    assert re.search(r'href="/sign-in\?next=[^"]*verify-email', page.text)
    assert (await fresh(client).post(path, data={"password": ""})).status_code == 400
    assert (await client.get(path)).status_code == 200
    assert await address_of(client) == (NEW, True)


async def test_the_form_asks_for_the_password_again(
    client: httpx.AsyncClient, letters: Mailbox, database: Database
) -> None:
    await sign_up_confirmed(client, letters, OLD)
    letters.letters.clear()
    age(database, timedelta(minutes=11))
    for fields, status in (({}, 403), ({"proof_password": "wrong"}, 400)):
        answer = await client.post(FORM, data={"email": NEW} | fields)
        assert (answer.status_code, MEANT in seen(answer), f'value="{NEW}"' in answer.text) == (status, True, True)
    await none_waits(database)
    assert letters.letters == []
    proved = await client.post(FORM, data={"email": NEW, "proof_password": PASSWORD})
    assert proved.headers["location"] == SENT
    assert await link_to(letters)


async def test_an_address_that_another_account_has_gets_the_same_answer(
    client: httpx.AsyncClient, letters: Mailbox, database: Database
) -> None:
    await sign_up_confirmed(fresh(client), letters, OTHER)
    await sign_up_confirmed(client, letters, OLD)
    letters.letters.clear()
    pages = []
    for email in (NEW, OTHER):
        await ask(client, email)
        pages.append(seen(await client.get(SENT)).replace(email, "…"))
    trail = "Change of email address requested"
    assert pages[0].partition(trail)[0] == pages[1].partition(trail)[0]
    await none_waits(database)
    assert len(sent_to(letters, OLD)) == 2
    [letter] = sent_to(letters, OTHER)
    assert "already exists" in letter.get_content()
    assert link_in(letter) == "/forgot-password"
    assert OLD not in letter.as_string()


async def test_an_address_that_was_taken_meanwhile_is_refused_on_opening(
    client: httpx.AsyncClient, letters: Mailbox
) -> None:
    path = await change_requested(client, letters)
    await sign_up(fresh(client), NEW)
    assert (await client.get(path)).status_code == 409
    assert await address_of(client) == (OLD, True)


async def test_what_is_no_new_address_is_refused_and_kept_in_the_form(
    client: httpx.AsyncClient, letters: Mailbox
) -> None:
    await sign_up_confirmed(client, letters, OLD)
    for email, why in (
        ("nobody", "not an email address"),
        ("", "not an email address"),
        ("Ann@Example.com", "already"),
    ):
        answer = await client.post(FORM, data={"email": email})
        assert (answer.status_code, why in seen(answer)) == (400, True)
        assert f'value="{email}"' in answer.text
    assert len(letters.letters) == 1


async def test_letters_to_a_new_address_are_few(
    client: httpx.AsyncClient, letters: Mailbox, database: Database
) -> None:
    await sign_up_confirmed(client, letters, OLD)
    letters.letters.clear()
    for _ in range(3):
        await ask(client)
    await none_waits(database)
    assert [len(sent_to(letters, email)) for email in (NEW, OLD)] == [1, 1]
    for _ in range(12):
        let_time_pass(database, timedelta(minutes=6))
        await ask(client)
    await none_waits(database)
    assert [len(sent_to(letters, email)) for email in (NEW, OLD)] == [10, 10]


async def test_only_the_newest_request_counts_and_a_mistyped_address_can_be_corrected_at_once(
    client: httpx.AsyncClient, letters: Mailbox
) -> None:
    await sign_up_confirmed(client, letters, OLD)
    await ask(client, "anm@new.example")
    mistyped = await link_to(letters, "anm@new.example")
    await ask(client)
    path = await link_to(letters)
    assert (await client.get(mistyped)).status_code == 410
    assert (await client.get(path)).status_code == 200
    assert await address_of(client) == (NEW, True)


async def test_an_account_that_signed_up_with_a_mistyped_address_can_correct_it(
    client: httpx.AsyncClient, letters: Mailbox, database: Database
) -> None:
    await sign_up(client, "anm@example.com")
    first = await link_to(letters, "anm@example.com")
    await ask(client)
    assert (await client.get(await link_to(letters))).status_code == 200
    assert await address_of(client) == (NEW, True)
    assert (await fresh(client).get(first)).status_code == 410
    await none_waits(database)
    assert len(sent_to(letters, "anm@example.com")) == 1  # an unconfirmed address gets no notices
