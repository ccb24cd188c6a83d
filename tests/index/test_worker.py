"""The worker keeps working: no project, failure or long step delays the others, or a stop."""

import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlmodel import col

from server.index.chroma.client import Chroma
from server.index.chroma.collections import Collection
from server.index.exact.stored_pieces import StoredPieces
from server.index.model.embeddings import Embedder
from server.index.upkeep import following, rebuild, worker
from server.models import IndexTask, ProjectIndex
from server.settings import Settings
from tests.support.world import World, eventually, opened

TEXTS = [f"canoe trip number {n}" for n in range(40)]


@pytest.fixture
def large(settings: Settings, embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A project whose collection is ready, with a worker that is quick."""
    for name, seconds in (("CHECK_EVERY_SECONDS", 0.1), ("POLL_SECONDS", 0.1), ("RETRY_SECONDS", 0.1)):
        monkeypatch.setattr(worker, name, seconds)
    monkeypatch.setattr(following, "GATHER_SECONDS", 0.0)
    monkeypatch.setattr(rebuild, "STEP_PIECES", 10)
    with opened(settings.model_copy(update={"exact_scan_limit": 0}), embedder) as world:
        world.add_many(TEXTS)
        eventually(lambda: world.index._worker.count_missing() == 0)
        yield world


def test_a_missing_collection_is_rebuilt_without_a_search(large: World) -> None:
    chroma = large.index._collections.open(as_owner=False)
    assert chroma is not None
    (name,) = chroma.list_names()
    chroma.delete_collection(name)
    large.add("a red kayak")
    eventually(lambda: chroma.list_names() not in (set(), {name}))
    eventually(lambda: large.index._worker.count_missing() == 0)


@pytest.mark.sqlite_only
def test_a_late_failure_of_an_earlier_collection_leaves_the_present_one(large: World) -> None:
    large.index._collections.damaged.add("memories-earlier")
    eventually(lambda: not large.index._collections.damaged)
    assert large.index._worker.count_missing() == 0


@pytest.mark.sqlite_only
def test_a_stop_does_not_wait_for_a_long_step(large: World, monkeypatch: pytest.MonkeyPatch) -> None:
    put, begun, ended = following.put, threading.Event(), threading.Event()

    def endless(chroma: Chroma, target: Collection, pieces: StoredPieces, between: following.Between) -> None:
        begun.set()
        try:
            while True:
                put(chroma, target, pieces, between)
        finally:
            ended.set()

    monkeypatch.setattr(following, "put", endless)
    large.add("a red kayak")
    assert begun.wait(10)
    large.index.close()
    assert ended.is_set()
    assert not large.index._worker.is_alive()
    assert has_tasks(large)


def test_changes_of_other_projects_are_followed_while_one_is_built(
    large: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (used,) = collections_of(large)
    pending: list[bool] = []
    put = following.put

    def observed(chroma: Chroma, target: Collection, pieces: StoredPieces, between: following.Between) -> None:
        if target.name != used:
            if not pending:
                large.add("a red kayak")
            pending.append(has_tasks(large))
        put(chroma, target, pieces, between)

    monkeypatch.setattr(following, "put", observed)
    large.another_project().add_many(TEXTS)
    eventually(lambda: bool(pending) and large.index._worker.count_missing() == 0)
    assert (pending[0], pending[-1]) == (True, False)


def collections_of(world: World) -> list[str]:
    with world.database.read() as session:
        return list(session.scalars(sa.select(col(ProjectIndex.collection))))


def has_tasks(world: World) -> bool:
    """Return whether changes of the project wait for Chroma."""
    with world.database.read() as session:
        tasks = sa.select(IndexTask).where(
            col(IndexTask.project_id) == world.project_id, col(IndexTask.memory_number) > 0
        )
        return session.scalars(tasks.limit(1)).first() is not None
