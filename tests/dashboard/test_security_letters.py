"""Letters about signing in: a changed password, a completed reset, a new browser. Reset links and their limits."""

import asyncio
import re
from datetime import timedelta
from email.message import EmailMessage

import httpx
import sqlalchemy as sa

from server.domain import sent_letters
from server.domain.people import passwords
from server.models import Mail, MailedToken, User
from server.models.base import now
from server.storage.database import Database
from tests.support.browsers import PASSWORD, fresh, sign_in, sign_up
from tests.support.mail import Mailbox, link_in
from tests.support.mailing import letters, mailbox, settings
from tests.support.world import eventually

__all__ = ["letters", "mailbox", "settings"]

ANN = "ann@example.com"
NEW = "another good one"


async def with_account(client: httpx.AsyncClient, database: Database, letters: Mailbox) -> None:
    """Sign up with a confirmed address, and forget the letter that asked to confirm it."""
    await sign_up(client)
    await letters.wait_for(1)
    letters.letters.clear()
    with database.write() as session:
        session.execute(sa.update(User).values(email_verified_at=now()))


async def only(letters: Mailbox, database: Database) -> EmailMessage:
    """Return the one letter that was sent, when no other waits."""
    await letters.wait_for(1)
    await none_waits(database)
    assert len(letters.letters) == 1
    return letters.letters[0]


async def none_waits(database: Database) -> None:
    """Until every queued letter was sent."""

    def is_empty() -> bool:
        with database.read() as session:
            return not session.scalar(sa.select(sa.func.count()).select_from(Mail))

    await asyncio.to_thread(eventually, is_empty)


async def test_a_changed_password_is_reported_by_email(
    client: httpx.AsyncClient, database: Database, letters: Mailbox
) -> None:
    await with_account(client, database, letters)
    form = {"current": PASSWORD, "password": NEW}
    assert (await client.post("/dashboard/account/password", data=form)).status_code == 303
    letter = await only(letters, database)
    assert letter["to"] == ANN
    assert "Your password was changed" in letter.get_content()
    assert link_in(letter) == "/forgot-password"


async def test_a_reset_password_is_reported_by_email(
    client: httpx.AsyncClient, database: Database, letters: Mailbox
) -> None:
    await with_account(client, database, letters)
    browser = fresh(client)
    await browser.post("/forgot-password", data={"email": ANN})
    path = link_in(await only(letters, database))
    letters.letters.clear()
    assert (await browser.post(path, data={"password": NEW})).status_code == 303
    assert "Your password was reset" in (await only(letters, database)).get_content()


async def test_a_sign_in_from_a_new_browser_is_reported_by_email_once(
    client: httpx.AsyncClient, database: Database, letters: Mailbox
) -> None:
    await with_account(client, database, letters)
    await client.post("/sign-out")
    await sign_in(client)
    browser = fresh(client)
    browser.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux) Visit https://evil.example Firefox/140"
    for _ in range(2):
        await sign_in(browser)
    letter = await only(letters, database)
    assert "new browser" in letter.get_content()
    assert "evil" not in letter.as_string()
    assert link_in(letter) == "/forgot-password"


async def test_the_same_notice_is_mailed_only_a_few_times_a_day(
    client: httpx.AsyncClient, database: Database, letters: Mailbox
) -> None:
    """Somebody with an account could make the server send hundreds of letters a minute."""
    await with_account(client, database, letters)
    for _ in range(sent_letters.MOST_FOR_RECIPIENT + 3):
        assert (await sign_in(fresh(client))).status_code == 303
    await letters.wait_for(sent_letters.MOST_FOR_RECIPIENT)
    await none_waits(database)
    assert len(letters.letters) == sent_letters.MOST_FOR_RECIPIENT
    await client.post("/dashboard/account/password", data={"current": PASSWORD, "password": NEW})
    await letters.wait_for(sent_letters.MOST_FOR_RECIPIENT + 1)
    assert "Your password was changed" in letters.letters[-1].get_content()


async def test_accounts_that_are_not_confirmed_get_no_such_letter(
    client: httpx.AsyncClient, database: Database, letters: Mailbox
) -> None:
    await sign_up(client)
    await letters.wait_for(1)
    await sign_in(fresh(client))
    await client.post("/dashboard/account/password", data={"current": PASSWORD, "password": NEW})
    assert (await only(letters, database))["subject"] == "Confirm your email address"


async def test_r09_a_reset_letter_is_sent_once_in_five_minutes_and_the_page_says_the_same(
    client: httpx.AsyncClient, database: Database, letters: Mailbox
) -> None:
    await with_account(client, database, letters)
    answers = [await client.post("/forgot-password", data={"email": ANN}) for _ in range(3)]
    assert len({answer.text for answer in answers}) == 1
    await only(letters, database)
    let_time_pass(database, timedelta(minutes=5, seconds=1))
    await client.post("/forgot-password", data={"email": ANN})
    await letters.wait_for(2)


async def test_r09_older_reset_links_work_for_their_hour_and_the_first_use_ends_all(
    client: httpx.AsyncClient, database: Database, letters: Mailbox
) -> None:
    await with_account(client, database, letters)
    for count in (1, 2):
        await client.post("/forgot-password", data={"email": ANN})
        await letters.wait_for(count)
        let_time_pass(database, timedelta(minutes=6))
    older, newer = (link_in(letter) for letter in letters.letters)
    assert (await client.get(newer)).status_code == 200
    assert (await fresh(client).post(older, data={"password": NEW})).status_code == 303
    for path in (older, newer):
        assert (await client.get(path)).status_code == 410


async def test_a_printed_reset_link_delays_no_letter(
    client: httpx.AsyncClient, database: Database, letters: Mailbox
) -> None:
    await with_account(client, database, letters)
    with database.write() as session:
        passwords.issue_reset(session, ANN)
    await client.post("/forgot-password", data={"email": ANN})
    assert (await only(letters, database))["subject"] == "Reset your password"


async def test_letters_that_confirm_an_address_are_few(
    client: httpx.AsyncClient, database: Database, letters: Mailbox
) -> None:
    await sign_up(client)
    await letters.wait_for(1)
    answers = [await client.post("/dashboard/account/verify") for _ in range(3)]
    assert {answer.status_code for answer in answers} == {303}
    await only(letters, database)
    for _ in range(12):
        let_time_pass(database, timedelta(minutes=6))
        await client.post("/dashboard/account/verify")
    await letters.wait_for(10)
    await none_waits(database)
    assert len(letters.letters) == 10


async def test_the_first_letters_link_still_confirms_after_a_second_one(
    client: httpx.AsyncClient, database: Database, letters: Mailbox
) -> None:
    await sign_up(client)
    await letters.wait_for(1)
    let_time_pass(database, timedelta(minutes=6))
    await client.post("/dashboard/account/verify")
    await letters.wait_for(2)
    assert (await client.get(link_in(letters.letters[0]))).status_code == 200
    assert (await client.get("/api/users/me")).json()["email_verified"] is True
    assert (await client.get(link_in(letters.letters[1]))).status_code == 410


async def test_reset_letters_to_an_address_that_nobody_confirmed_are_few(
    client: httpx.AsyncClient, database: Database, letters: Mailbox
) -> None:
    await sign_up(client)
    await letters.wait_for(1)
    letters.letters.clear()
    for _ in range(12):
        await client.post("/forgot-password", data={"email": ANN})
        let_time_pass(database, timedelta(minutes=6))
    await letters.wait_for(10)
    await none_waits(database)
    assert len(letters.letters) == 10
    assert all(re.search("Reset your password", letter["subject"]) for letter in letters.letters)


def let_time_pass(database: Database, time: timedelta) -> None:
    """Make the tokens in mailed links as old as if `time` had passed."""
    with database.write() as session:
        for token in session.execute(sa.select(MailedToken)).scalars():
            token.created_at -= time
