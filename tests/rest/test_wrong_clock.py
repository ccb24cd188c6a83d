"""A clock that is wrong for some minutes deletes nothing."""

from datetime import timedelta

import anyio
import httpx
import pytest
import sqlalchemy as sa
from sqlmodel import col

from server.app import create_app
from server.models import BrowserSession, TrashedMemory
from server.models.base import now
from server.settings import Settings
from server.shell import housekeeping
from server.shell.housekeeping import PURGE_SECONDS, STEADY_SECONDS, SteadyClock
from server.storage.database import Database
from tests.conftest import Tenant
from tests.support.fakes import WordEmbedder
from tests.support.started import running

DAY = 24 * 3600.0
FIRST = STEADY_SECONDS // PURGE_SECONDS
"""The first check at which a clock that was always right is steady."""


@pytest.mark.parametrize(
    ("ahead", "steady"),
    [
        ({}, set(range(FIRST, 12))),
        ({4: 20 * DAY}, {2, 3, 7, 8, 9, 10, 11}),  # for one check
        ({4: 20 * DAY, 5: 20 * DAY}, {2, 3, 8, 9, 10, 11}),
        ({0: 20 * DAY, 1: 20 * DAY}, {4, 5, 6, 7, 8, 9, 10, 11}),  # since the start of the machine
        (dict.fromkeys(range(4, 12), 20 * DAY), {2, 3, 6, 7, 8, 9, 10, 11}),  # it was behind before
        ({check: check / 2 for check in range(12)}, set(range(FIRST, 12))),  # it drifts
    ],
)
def test_a_clock_that_has_jumped_is_steady_only_when_it_has_not_jumped_for_long(
    ahead: dict[int, float], steady: set[int]
) -> None:
    check = 0
    clock = SteadyClock(
        lambda: 1e9 + check * PURGE_SECONDS + ahead.get(check, 0.0), lambda: 50.0 + check * PURGE_SECONDS
    )
    found = set()
    for check in range(12):
        if clock.is_steady():
            found.add(check)
    assert found == steady


@pytest.mark.parametrize("steady_seconds", [0, 3600])
@pytest.mark.usefixtures("prompt_removal")
async def test_the_trash_is_emptied_only_by_a_steady_clock(
    settings: Settings,
    database: Database,
    client: httpx.AsyncClient,
    alice: Tenant,
    monkeypatch: pytest.MonkeyPatch,
    steady_seconds: int,
) -> None:
    monkeypatch.setattr(housekeeping, "STEADY_SECONDS", steady_seconds)
    monkeypatch.setattr(housekeeping, "PURGE_SECONDS", 0.02)
    body = {"messages": [{"role": "user", "content": "Deleted by mistake."}]}
    added = await client.post("/api/memories", json=body, headers=alice.auth)
    await client.delete(f"/api/memories/{added.json()['memory_id']}", headers=alice.auth)
    with database.write() as session:
        session.execute(sa.update(TrashedMemory).values(deleted_until=now() - timedelta(days=1)))
    assert await are_purged(settings, database) == (steady_seconds == 0)


async def are_purged(settings: Settings, database: Database) -> bool:
    """Return whether a server that has just started empties the trash."""
    checks = 0

    class Counted(SteadyClock):
        def is_steady(self) -> bool:
            nonlocal checks
            checks += 1
            return super().is_steady()

    def left() -> int:
        with database.read() as session:
            return session.scalar(sa.select(sa.func.count()).select_from(TrashedMemory)) or 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(housekeeping, "SteadyClock", Counted)
        async with running(create_app(settings, lambda _settings: WordEmbedder())):
            with anyio.fail_after(10):
                while left() and checks < 10:  # noqa: ASYNC110 - another task counts
                    await anyio.sleep(0.02)
    return not left()


@pytest.mark.usefixtures("prompt_removal")
async def test_expired_rows_are_removed_once_the_clock_is_steady_and_not_an_hour_later(
    settings: Settings, database: Database, alice: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A laptop that sleeps several times a day, or a server that is started for half an hour, never has this hour."""
    monkeypatch.setattr(housekeeping, "STEADY_SECONDS", 0.1)
    monkeypatch.setattr(housekeeping, "PURGE_SECONDS", 0.05)
    yesterday = now() - timedelta(days=1)
    with database.write() as session:
        session.add(
            BrowserSession(user_id=alice.user_id, token_hash="ended", expires_at=yesterday, verified_at=yesterday)
        )

    def is_there() -> bool:
        with database.read() as session:
            return (
                session.scalar(sa.select(col(BrowserSession.id)).where(col(BrowserSession.token_hash) == "ended"))
                is not None
            )

    async with running(create_app(settings, lambda _settings: WordEmbedder())):
        with anyio.fail_after(10):
            while is_there():  # noqa: ASYNC110 - another task removes it
                await anyio.sleep(0.02)
