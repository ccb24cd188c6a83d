"""After a kill during publishing, the next process publishes the rest at once. No answer comes before that."""

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import anyio
import httpx
import pytest
import sqlalchemy as sa
from sqlmodel import Session, col, select

from server.app import create_app
from server.domain.memory import imports, unfinished
from server.domain.memory.exchange.lines import Line, memory_of
from server.domain.memory.publishing import Staged
from server.domain.teams import api_keys
from server.domain.teams.api_keys import NewKey
from server.index.types import UNEMBEDDED
from server.models import Import, Project, StagedMemory
from server.models.base import now
from server.settings import Settings
from server.shell import housekeeping
from server.storage.database import Database
from tests.conftest import ORIGIN
from tests.rest.conftest import Caller
from tests.support.fakes import WordEmbedder
from tests.support.publisher import IMPORTED, KEY, SENT
from tests.support.started import running
from tests.support.world import World, opened

OF_BATCH = "&user_id=ann"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def key(settings: Settings) -> str:
    """A key of the project in which a process was killed."""
    url = settings.database_url.get_secret_value()
    command = [sys.executable, "-m", "tests.support.publisher", url, str(settings.data_dir)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -9
    database = Database(url, connections=1)
    try:
        with database.write() as session:
            return issue_key(session)
    finally:
        database.close()


def issue_key(session: Session) -> str:
    project = session.exec(select(Project)).one()
    assert project.created_by is not None
    return api_keys.issue(session, project, project.created_by, NewKey("all", ["read", "write"]))[1]


def commit_damaged_and_whole(world: World) -> None:
    """Commit an import with a line that cannot be read, and one with a good line."""
    with world.database.write() as session:
        for content in ("damaged", "whole"):
            import_id = imports.begin(session, None, world.project_id)
            line = Line(content=content)
            imports.keep(session, import_id, [Staged(1, line, memory_of(line), UNEMBEDDED)])
            imports.commit(session, None, import_id)
        damaged = col(StagedMemory.line).contains("damaged")
        session.execute(sa.update(StagedMemory).where(damaged).values(line="{"))
        session.execute(sa.update(Import).values(touched_at=now() - timedelta(minutes=1)))


@asynccontextmanager
async def started(settings: Settings, key: str) -> AsyncIterator[Caller]:
    async with (
        running(create_app(settings, lambda _settings: WordEmbedder())) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN) as client,
    ):
        yield Caller(client, {"Authorization": f"Bearer {key}"})


async def total(caller: Caller, query: str = "") -> int:
    return int((await caller.get(f"/api/memories?limit=1{query}")).json()["total"])


async def test_a_repeated_batch_and_a_new_process_publish_what_a_killed_one_has_committed(
    settings: Settings, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished, "TAKEN_OVER_AFTER", timedelta(days=1))
    with monkeypatch.context() as nobody_looks:
        nobody_looks.setattr(unfinished, "left_behind", lambda *_args: [])
        async with started(settings, key) as caller:
            assert 0 < await total(caller, OF_BATCH) < len(SENT)
            answer = await caller.post("/api/memories/batch", {"memories": SENT}, Idempotency_Key=KEY)
            assert (answer.status_code, await total(caller, OF_BATCH)) == (200, len(SENT))
            ids = {created["memory_id"] for created in answer.json()["results"]}
            listed = (await caller.get(f"/api/memories?limit=1000{OF_BATCH}")).json()["results"]
            assert {memory["id"] for memory in listed} == ids
            assert await total(caller) < len(SENT) + len(IMPORTED), "nobody has repeated the import"
    async with started(settings, key) as caller:
        with anyio.fail_after(10):
            while await total(caller) < len(SENT) + len(IMPORTED):  # noqa: ASYNC110 - another process would do it
                await anyio.sleep(0.05)


async def test_what_was_committed_is_published_although_the_clock_was_set_back(settings: Settings, key: str) -> None:
    database = Database(settings.database_url.get_secret_value(), connections=1)
    with database.write() as session:
        session.execute(sa.update(Import).values(touched_at=now() + timedelta(hours=2)))
    database.close()
    async with started(settings, key) as caller:
        with anyio.fail_after(10):
            while await total(caller) < len(SENT) + len(IMPORTED):  # noqa: ASYNC110 - another task does it
                await anyio.sleep(0.05)


async def test_an_import_that_cannot_be_published_stops_neither_the_server_nor_others(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(housekeeping, "FINISH_SECONDS", 0.05)
    monkeypatch.setattr(housekeeping, "AFTER_FAILURE_SECONDS", 0.05)
    with opened(settings, WordEmbedder()) as world:
        commit_damaged_and_whole(world)
        with world.database.write() as session:
            key = issue_key(session)
    async with started(settings, key) as caller:
        with anyio.fail_after(10):
            while await total(caller) < 1:  # noqa: ASYNC110 - another task does it
                await anyio.sleep(0.05)
    assert "unfinished work was not resumed" in caplog.text
