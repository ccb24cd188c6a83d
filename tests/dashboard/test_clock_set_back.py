"""A clock that was a year ahead and was set back leaves times of the future behind. They keep nobody waiting a year."""

import asyncio
import time
from datetime import timedelta

import httpx
import sqlalchemy as sa
from sqlmodel import SQLModel, col

from server.models import BrowserSession, IdempotencyKey, Mail, MailedToken, SecondFactor, SentLetter, User
from server.models.base import now
from server.storage.database import Database
from tests.dashboard.test_step_up import MEANT, project_of
from tests.support.browsers import sign_up
from tests.support.mail import Mailbox
from tests.support.mailing import letters, mailbox, settings
from tests.support.two_factor import Enrolled, enter
from tests.support.visitors import seen
from tests.support.world import eventually

__all__ = ["letters", "mailbox", "settings"]  # fixtures

ANN = "ann@example.com"
YEAR = timedelta(days=365)


def set_times(database: Database, table: type[SQLModel], column: str) -> None:
    with database.write() as session:
        session.execute(sa.update(table).values({column: now() + YEAR}))


async def test_a_reset_letter_is_sent(client: httpx.AsyncClient, database: Database, letters: Mailbox) -> None:
    await sign_up(client)
    await letters.wait_for(1)
    with database.write() as session:
        session.execute(sa.update(User).values(email_verified_at=now()))
    for _ in range(11):  # more than a recipient gets in a day
        letters.letters.clear()
        set_times(database, MailedToken, "created_at")
        set_times(database, SentLetter, "created_at")
        await client.post("/forgot-password", data={"email": ANN})
        await letters.wait_for(1)


async def test_a_letter_that_was_queued_is_sent(
    client: httpx.AsyncClient, database: Database, letters: Mailbox
) -> None:
    with database.write() as session:
        session.add(Mail(sealed=b"of another key", due_at=now() + YEAR))

    def is_tried() -> bool:
        with database.read() as session:
            tried = sa.select(col(Mail.attempts)).where(col(Mail.due_at) < now() + YEAR / 2)
            return session.execute(tried).scalar() == 1

    await sign_up(client)  # the letter to confirm the address wakes the mailer
    await letters.wait_for(1)
    await asyncio.to_thread(eventually, is_tried)


async def test_an_app_signs_in(enrolled: Enrolled, half_way: httpx.AsyncClient, database: Database) -> None:
    with database.write() as session:
        step = int((time.time() + YEAR.total_seconds()) // 30)
        session.execute(sa.update(SecondFactor).values(failures=100, failures_since=now() + YEAR, last_step=step))
    assert (await enter(half_way, enrolled.app.code())).status_code == 303


async def test_a_proof_is_asked_for_again(client: httpx.AsyncClient, database: Database) -> None:
    await sign_up(client)
    set_times(database, BrowserSession, "verified_at")
    answer = await client.post(f"{await project_of(client)}/delete", data={"confirm": "My Memories"})
    assert MEANT in seen(answer)


async def test_an_idempotency_key_is_free(client: httpx.AsyncClient, database: Database) -> None:
    await sign_up(client)
    project_id = (await project_of(client)).rpartition("/")[2]
    for content in ("one", "two"):
        body = {"content": content, "project_id": project_id}
        answer = await client.post(
            "/api/memories", json=body, headers={"Idempotency-Key": "k", "Sec-Fetch-Site": "same-origin"}
        )
        assert answer.status_code == 200, answer.text
        set_times(database, IdempotencyKey, "created_at")
