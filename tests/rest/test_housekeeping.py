"""Housekeeping deletes expired rows, and keeps rows that may still be needed."""

import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import anyio
import httpx
import pytest
import sqlalchemy as sa
from sqlmodel import Session, SQLModel, col

from server.app import close_runtime, create_app, open_runtime
from server.domain import retention
from server.domain.grants import retention as grant_retention
from server.domain.memory import expiry, unfinished
from server.domain.notifications import Notice, notify
from server.metrics import Metrics
from server.models import (
    AuditEvent,
    BegunDeletion,
    BrowserSession,
    Import,
    Invitation,
    Mail,
    MailedToken,
    Memory,
    Notification,
    SentLetter,
    UsedChallenge,
)
from server.models.base import new_id, now
from server.models.invitations import InvitationStatus
from server.models.notifications import LetterKind
from server.models.organizations import OrganizationRole
from server.models.users import MailedPurpose
from server.settings import Settings
from server.shell import housekeeping
from server.shell.runtime import Runtime
from server.storage.database import Database
from tests.conftest import Tenant
from tests.support.fakes import WordEmbedder
from tests.support.started import running


def count(database: Database, *tables: type[SQLModel]) -> list[int]:
    with database.read() as session:
        return [session.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table in tables]


Housekeep = Callable[[], Awaitable[int]]


@pytest.fixture
def runtime(settings: Settings) -> Iterator[Runtime]:
    runtime = open_runtime(settings, lambda _settings: WordEmbedder(), Metrics(None))
    yield runtime
    close_runtime(runtime)


@pytest.fixture
def housekeep(runtime: Runtime) -> Housekeep:
    """What a server does every hour."""
    return lambda: housekeeping.remove_all(runtime)


def aged_event(organization_id: str | None, days: int, name: str) -> AuditEvent:
    at = now() - timedelta(days=days)
    return AuditEvent(id=new_id("evt_", at), organization_id=organization_id, type=name, created_at=at)


async def test_events_are_kept_for_a_year_and_those_of_nobody_for_a_month(
    housekeep: Housekeep, database: Database, alice: Tenant
) -> None:
    kept = {
        "fresh": (alice.organization_id, 0), "last year": (alice.organization_id, 399), "of nobody": (None, 29),
    }  # fmt: skip
    gone = {"too old": (alice.organization_id, 401), "of nobody, too old": (None, 31)}
    with database.write() as session:
        session.execute(sa.delete(AuditEvent))
        for name, (organization_id, days) in (kept | gone).items():
            session.add(aged_event(organization_id, days, name))
    await housekeep()
    with database.read() as session:
        assert set(session.scalars(sa.select(col(AuditEvent.type)))) == set(kept)


async def test_failed_sign_ins_to_unknown_addresses_do_not_stay(
    client: httpx.AsyncClient, housekeep: Housekeep, database: Database
) -> None:
    for _ in range(3):
        await client.post("/sign-in", data={"email": "nobody@example.com", "password": "wrong"})
    with database.write() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(AuditEvent)) == 3
        session.execute(sa.update(AuditEvent).values(created_at=now() - timedelta(days=31)))
    await housekeep()
    assert count(database, AuditEvent) == [0]


def add_each(session: Session, tenant: Tenant, name: str, ended: timedelta) -> None:
    """Add a session, a mailed link and an invitation that ended that long ago."""
    at = now() - ended
    session.add(BrowserSession(user_id=tenant.user_id, token_hash=name, expires_at=at))
    session.add(MailedToken(user_id=tenant.user_id, purpose=MailedPurpose.VERIFY, token_hash=name, expires_at=at))
    session.add(
        Invitation(
            organization_id=tenant.organization_id,
            email=f"{name}@example.com",
            role=OrganizationRole.MEMBER,
            token_hash=name,
            invited_by=tenant.user_id,
            status=InvitationStatus.ACCEPTED,
            expires_at=at,
        )
    )


async def test_sessions_links_and_invitations_that_ended_are_removed(
    housekeep: Housekeep, database: Database, alice: Tenant
) -> None:
    with database.write() as session:
        add_each(session, alice, "to-come", timedelta(days=-1))
        add_each(session, alice, "just-now", timedelta(minutes=1))
        add_each(session, alice, "long-ago", timedelta(days=91))
        idle = now() - timedelta(days=15)
        session.add(
            BrowserSession(
                user_id=alice.user_id, token_hash="idle", last_seen_at=idle, expires_at=now() + timedelta(days=9)
            )
        )
    await housekeep()
    with database.read() as session:
        assert set(session.scalars(sa.select(col(BrowserSession.token_hash)))) == {"to-come"}
        assert set(session.scalars(sa.select(col(MailedToken.token_hash)))) == {"to-come"}
        assert set(session.scalars(sa.select(col(Invitation.token_hash)))) == {"to-come", "just-now"}


def test_a_notice_removes_read_ones_beyond_the_last_fifty(database: Database, alice: Tenant, bob: Tenant) -> None:
    with database.write() as session:
        for user_id, total in ((alice.user_id, 59), (bob.user_id, 9)):
            for number in range(total):
                read_at = None if number == 3 else now()
                session.add(Notification(user_id=user_id, type="t", title=str(number), message="m", read_at=read_at))
    with database.write() as session:
        notify(session, [alice.user_id, bob.user_id], Notice.REMOVED, "59", "m")
    with database.read() as session:
        rows = session.execute(sa.select(col(Notification.user_id), col(Notification.title))).all()
    assert Counter(user_id for user_id, _ in rows) == {alice.user_id: 51, bob.user_id: 10}
    assert {title for user_id, title in rows if user_id == alice.user_id} == {"3", *map(str, range(10, 60))}


def test_a_notice_removes_unread_ones_beyond_the_last_thousand(database: Database, alice: Tenant) -> None:
    with database.write() as session:
        session.add_all(Notification(user_id=alice.user_id, type="t", title="", message="m") for _ in range(1_009))
    with database.write() as session:
        notify(session, [alice.user_id], Notice.REMOVED, "the newest", "m")
    with database.read() as session:
        titles = session.scalars(sa.select(col(Notification.title))).all()
    assert (len(titles), "the newest" in titles) == (1_000, True)


async def test_what_has_ended_goes_in_chunks_until_nothing_is_left(
    runtime: Runtime, housekeep: Housekeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "CHUNK_ROWS", 7)
    with runtime.database.write() as session:
        session.add_all(aged_event(None, 40, "of nobody") for _ in range(30))
        old = now() - timedelta(days=8)
        session.add_all(SentLetter(kind=LetterKind.RESET, recipient_hash="x", created_at=old) for _ in range(30))
        session.add_all(Mail(sealed=b"x", created_at=old) for _ in range(30))
        session.add_all(UsedChallenge(challenge_hash=str(number), expires_at=now()) for number in range(30))
    with runtime.database.write() as session:
        assert retention.remove_ended(session) == 28
    assert await housekeep() == 92
    assert count(runtime.database, AuditEvent, SentLetter, Mail, UsedChallenge) == [0, 0, 0, 0]


async def test_what_has_ended_is_looked_for_while_others_write(runtime: Runtime) -> None:
    with runtime.database.write() as session:
        session.add(aged_event(None, 0, "of nobody"))
        session.flush()
        with anyio.fail_after(10):
            assert await runtime.run(retention.remove_ended) == 0
            assert await runtime.run(grant_retention.remove_expired, client_retention_days=30) == 0


@pytest.mark.parametrize("set_back", [timedelta(0), timedelta(hours=2)])
async def test_a_deletion_of_all_memories_that_was_interrupted_is_finished_after_a_start(
    client: httpx.AsyncClient, runtime: Runtime, database: Database, alice: Tenant, set_back: timedelta
) -> None:
    """`set_back` is how far the clock went back after the deletion had begun."""
    for text in ("A canoe", "A kayak"):
        await client.post("/api/memories", json={"content": text}, headers=alice.auth)
    with database.write() as session:
        newest = session.scalars(sa.select(sa.func.min(Memory.number))).one()
        then = now() + set_back
        begun = BegunDeletion(project_id=alice.project_id, newest=newest, created_at=then, touched_at=then)
        session.add(begun)
    await housekeeping.finish_begun_work(runtime, now(), unfinished.Idle())
    found = (await client.get("/api/memories", headers=alice.auth)).json()
    assert [memory["content"] for memory in found["results"]] == ["A kayak"]
    assert count(database, BegunDeletion) == [0]


@pytest.mark.parametrize("behind", [timedelta(hours=1), timedelta(days=7)])
async def test_an_import_of_a_process_whose_clock_is_behind_is_discarded_only_when_it_stands_still(
    runtime: Runtime, database: Database, alice: Tenant, behind: timedelta
) -> None:
    idle, started_at = unfinished.Idle(), now()
    with database.write() as session:
        session.add(Import(id="imp_1", project_id=alice.project_id, touched_at=now() - behind))
    for _ in range(2 * unfinished.LOOKS):
        with database.write() as session:
            session.get_one(Import, "imp_1").touched_at = now() - behind
        await housekeeping.finish_begun_work(runtime, started_at, idle)
    assert count(database, Import) == [1]
    for _ in range(unfinished.LOOKS):
        await housekeeping.finish_begun_work(runtime, started_at, idle)
    assert count(database, Import) == [0]


@pytest.mark.usefixtures("prompt_removal")
async def test_a_rule_that_fails_stops_neither_the_server_nor_the_other_rules(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(housekeeping, "AFTER_FAILURE_SECONDS", 0.05)
    monkeypatch.setattr(housekeeping, "INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(housekeeping, "PURGE_SECONDS", 0.05)
    for module, rule in ((retention, "remove_ended"), (expiry, "purge")):
        monkeypatch.setattr(module, rule, lambda _session: 1 // 0)
    async with running(create_app(settings, lambda _settings: WordEmbedder())):
        with anyio.fail_after(10):
            for what in ("expired rows were not removed", "expired memories were not deleted"):
                while caplog.text.count(what) < 2:  # noqa: ASYNC110 - another task writes it
                    await anyio.sleep(0.05)


async def test_a_folder_among_the_uploads_does_not_stop_the_housekeeping(runtime: Runtime) -> None:
    folder = runtime.settings.data_dir / "uploads" / "usr_1" / "@eaDir"
    folder.mkdir(parents=True)
    os.utime(folder, (0, 0))
    await housekeeping.remove_uploads(runtime)
    assert folder.exists()


@pytest.mark.usefixtures("prompt_removal")
async def test_expired_rows_go_while_a_file_cannot_be_removed(
    settings: Settings, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = settings.data_dir / "uploads" / "usr_1" / "upl_1.file"
    file.parent.mkdir(parents=True)
    file.touch()
    os.utime(file, (0, 0))
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == file:
            raise PermissionError
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    with runtime.database.write() as session:
        session.add(Mail(sealed=b"x", created_at=now() - timedelta(days=8)))
    async with running(create_app(settings, lambda _settings: WordEmbedder())):
        with anyio.fail_after(10):
            while count(runtime.database, Mail) != [0]:  # noqa: ASYNC110 - another task deletes it
                await anyio.sleep(0.05)
