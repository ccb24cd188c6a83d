"""Processes with a Postgres database and a Chroma server share the work on the index, without a gap or a conflict."""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from sqlmodel import col

from server.adapters.mail import open_mailer
from server.index.chroma.client import open_embedded
from server.index.chroma.collections import Collections
from server.index.upkeep import following, leases, worker
from server.index.upkeep.leases import SHARDS
from server.models import IndexTask, ProjectIndex, metadata
from server.settings import Settings
from server.shell import health
from server.shell.health import HealthChecks, Status
from server.storage.database import Database
from tests.support.fakes import WordEmbedder
from tests.support.world import World, eventually, opened

pytestmark = [
    pytest.mark.needs("postgres"),
    pytest.mark.parametrize("database_url", ["postgres"], indirect=True),
]


class Fleet:
    """Processes that share a database and a Chroma server. Here both are in this process."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.chroma = open_embedded(folder)
        self.settings = settings.model_copy(update={"exact_scan_limit": 0, "chroma_url": "http://127.0.0.1:9"})
        self.closing = contextlib.ExitStack()

    def start(self) -> World:
        """Start another process."""
        return self.closing.enter_context(opened(self.settings, WordEmbedder()))


@pytest.fixture
def fleet(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    for name, seconds in (("CHECK_EVERY_SECONDS", 0.0), ("POLL_SECONDS", 0.02), ("COOLDOWN_SECONDS", 0.01)):
        monkeypatch.setattr(worker, name, seconds)
    monkeypatch.setattr(following, "GATHER_SECONDS", 0.0)
    fleet = Fleet(settings, tmp_path / "chroma")
    monkeypatch.setattr(Collections, "_open", lambda _self: fleet.chroma)
    monkeypatch.setattr(Collections, "close", lambda _self: None)
    with fleet.closing:
        yield fleet
    fleet.chroma.close()


def shards_of(world: World) -> int:
    return world.index.state().shards


def pending_of(world: World) -> int:
    with world.database.read() as session:
        changes = sa.select(sa.func.count()).select_from(IndexTask).where(col(IndexTask.memory_number) > 0)
        return session.scalar(changes) or 0


def numbers_in(fleet: Fleet, world: World) -> set[int]:
    """Return the memories of the project whose vectors Chroma has."""
    with world.database.read() as session:
        row = session.get_one(ProjectIndex, world.project_id)
    return set(fleet.chroma.find_nearest(row.collection, np.ones(64, np.float32), 100))


def test_two_processes_both_follow_and_one_that_stops_leaves_no_gap(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed: dict[int, set[str]] = {}
    follow = following.follow

    def observed(database: Database, *arguments: Any) -> None:
        followed.setdefault(id(database.unguarded), set()).add(arguments[3][0].project_id)
        follow(database, *arguments)

    monkeypatch.setattr(leases, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(following, "follow", observed)
    first, second = fleet.start(), fleet.start()
    eventually(lambda: (shards_of(first), shards_of(second)) == (SHARDS // 2, SHARDS // 2))
    projects = projects_of_both(first, second)
    for project in projects:
        project.add("a red canoe")
    eventually(lambda: first.index._worker.count_missing() == 0)
    for project in projects:
        project.add("a blue canoe")
    eventually(lambda: pending_of(first) == 0)
    assert len(followed) == 2
    assert not set.intersection(*followed.values())
    assert set.union(*followed.values()) == {project.project_id for project in projects}
    second.index.close()
    eventually(lambda: shards_of(first) == SHARDS, seconds=5)


def projects_of_both(*processes: World) -> list[World]:
    """Create projects until each of the processes owns two."""
    projects: list[World] = []
    while not all(len(owned_by(process) & {one.project_id for one in projects}) > 1 for process in processes):
        projects.append(processes[0].another_project())
    return projects


def owned_by(process: World) -> set[str]:
    with process.database.read() as session:
        project = metadata.tables["projects"].c.id
        return set(session.scalars(sa.select(project).where(process.index._worker._lock.of(project))))


def test_a_frozen_process_finishes_nothing_after_it_wakes(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is frozen while it sends a vector to Chroma, which has no fence."""
    monkeypatch.setattr(leases, "LEASE_SECONDS", 0.3)
    frozen = fleet.start()
    memory_id = frozen.add("a red canoe")
    eventually(lambda: frozen.index._worker.count_missing() == 0 and pending_of(frozen) == 0)
    at_chroma, wakes, is_late = threading.Event(), threading.Event(), threading.Event()
    put = fleet.chroma.upsert

    def upsert(*arguments: Any) -> None:
        if threading.current_thread() is frozen.index._worker._thread and not wakes.is_set():
            at_chroma.set()
            wakes.wait(10)
            put(*arguments)
            is_late.set()
        else:
            put(*arguments)

    monkeypatch.setattr(fleet.chroma, "upsert", upsert)
    deleted = frozen.add("a blue canoe")
    assert at_chroma.wait(10)
    other = fleet.start()
    eventually(lambda: shards_of(other) == SHARDS)
    other.delete(deleted)
    eventually(lambda: pending_of(other) == 0)
    wakes.set()
    assert is_late.wait(10)  # it has written the vector of what is deleted
    eventually(lambda: numbers_in(fleet, other) == {other.memory(memory_id).number})
    eventually(lambda: pending_of(other) == 0)


async def test_health_says_that_nobody_has_owned_a_part_of_the_index_for_a_while(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def be_at(seconds: float) -> None:
        clock = SimpleNamespace(monotonic=lambda: time.monotonic() + seconds, perf_counter=time.perf_counter)
        monkeypatch.setattr(health, "time", clock)

    monkeypatch.setattr(health, "KEEP_SECONDS", 0.0)
    with opened(settings, WordEmbedder()) as world:
        checks = HealthChecks(settings, world.database, world.index, open_mailer(settings, world.database))
        eventually(lambda: shards_of(world) == SHARDS)
        await checks.current()
        assert (await checks.current())["vector_index"].problem is None
        world.index._worker.stop()
        be_at(2 * 60)  # nobody asks in the meantime, so for all it knows, the owner has just stopped
        assert (await checks.current())["vector_index"].problem is None
        be_at(4 * 60)
        found = (await checks.current())["vector_index"]
        assert (found.status, found.problem) == (Status.DEGRADED, health.OWNERLESS)
