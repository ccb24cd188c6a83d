"""A collection is built in steps. Another process can continue the build. Changes are applied during the build."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from sqlmodel import col

from server.domain.teams import projects
from server.index.center import without_mean
from server.index.chroma.client import Chroma, open_embedded
from server.index.chroma.failures import ChromaFailed
from server.index.model.embeddings import Embedder
from server.index.types import Vector, Vectors
from server.index.upkeep import due, erasing, following, rebuild
from server.index.upkeep.progress import Progress
from server.models import IndexTask, Memory, Piece, Project, ProjectIndex
from server.models.base import now
from server.settings import Settings
from server.storage.database import Database
from tests.support.world import World, opened

TEXTS = [f"canoe trip number {n}" for n in range(40)]


class Workshop:
    """A project without a worker, and a Chroma of its own: each step is taken by the test."""

    def __init__(self, world: World, chroma: Chroma, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.chroma = chroma
        self.written: list[tuple[int, int]] = []
        self.fails_after: int | None = None
        put = chroma.upsert

        def upsert(name: str, pieces: Sequence[tuple[int, int]], vectors: Vectors) -> None:
            if self.fails_after is not None and len(self.written) >= self.fails_after:
                raise ChromaFailed("ConnectError")
            put(name, pieces, vectors)
            self.written += pieces

        monkeypatch.setattr(chroma, "upsert", upsert)

    @property
    def database(self) -> Database:
        return self.world.database

    def build(self) -> Iterator[Progress]:
        world = self.world
        matrices, model = world.index._matrices, "words/test"
        return rebuild.build_collection(world.database, self.chroma, matrices, model, world.project_id, lambda: None)

    def begin(self) -> Iterator[Progress]:
        """Return a build that has written some pieces, and not all."""
        build = self.build()
        while not self.written:
            next(build)
        assert len(self.written) < len(TEXTS)
        return build

    def follow(self) -> None:
        while due := following.due_tasks(self.database, sa.true()):
            for tasks in due.values():
                matrices = self.world.index._matrices
                following.follow(self.database, lambda: self.chroma, matrices, "words/test", tasks, lambda: None)

    def row(self) -> ProjectIndex:
        with self.database.read() as session:
            return session.get_one(ProjectIndex, self.world.project_id)

    def pieces(self) -> set[tuple[int, int]]:
        with self.database.read() as session:
            rows = session.execute(sa.select(col(Piece.memory_number), col(Piece.position)))
            return {(number, position) for number, position in rows}

    def holds(self, memory_id: str) -> bool:
        """Return whether the collection knows the memory's present vector."""
        row, number = self.row(), self.world.memory(memory_id).number
        with self.database.read() as session:
            vector = self.world.index._matrices.read_memories(session, [number]).vectors[0]
        near = self.chroma.find_nearest(row.collection, centered(row, vector), 1)
        return near == [number]


def centered(row: ProjectIndex, vector: Vector) -> Vector:
    return without_mean(vector, np.frombuffer(row.mean, "<f4"))


@pytest.fixture
def workshop(
    settings: Settings, embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workshop]:
    monkeypatch.setattr(rebuild, "STEP_PIECES", 10)
    monkeypatch.setattr(following, "GATHER_SECONDS", 0.0)
    chroma = open_embedded(tmp_path / "chroma")
    with opened(settings.model_copy(update={"exact_scan_limit": 5000}), embedder) as world:
        world.index._worker.stop()
        world.add_many(TEXTS)
        yield Workshop(world, chroma, monkeypatch)
    chroma.close()


def test_a_build_goes_on_after_a_failure_of_chroma(workshop: Workshop) -> None:
    workshop.fails_after = 20
    with pytest.raises(ChromaFailed):
        list(workshop.build())
    assert workshop.row().ready_at is None
    workshop.fails_after = None
    list(workshop.build())
    assert sorted(workshop.written) == sorted(workshop.pieces())  # each once
    row = workshop.row()
    assert row.ready_at is not None
    assert workshop.chroma.count(row.collection) == len(workshop.pieces())


def test_a_build_goes_on_in_another_process(workshop: Workshop) -> None:
    workshop.begin()  # and is dropped, as when a process ends
    list(workshop.build())
    assert sorted(workshop.written) == sorted(workshop.pieces())
    assert workshop.chroma.count(workshop.row().collection) == len(workshop.pieces())


def test_changes_during_a_build_are_in_both_collections(workshop: Workshop) -> None:
    list(workshop.build())
    old = workshop.row().collection
    workshop.written.clear()
    build = workshop.begin()
    world = workshop.world
    first, *_, last = ids_of(world)
    world.update(first, "a red kayak")
    world.update(last, "a green tandem")
    added = world.add("a blue dinghy")
    workshop.follow()
    assert workshop.row().collection == old
    assert all(workshop.holds(memory_id) for memory_id in (first, last, added))
    list(build)
    assert workshop.row().collection != old
    assert all(workshop.holds(memory_id) for memory_id in (first, last, added))
    assert workshop.chroma.count(workshop.row().collection) == len(workshop.pieces())


def test_what_is_deleted_during_a_build_is_not_in_its_collection(workshop: Workshop) -> None:
    build = workshop.begin()
    first, *_, last = ids_of(workshop.world)
    workshop.world.delete(first)
    workshop.world.delete(last)
    workshop.follow()
    list(build)
    assert workshop.chroma.count(workshop.row().collection) == len(workshop.pieces())


def test_no_collection_is_built_for_a_project_that_was_just_deleted(workshop: Workshop) -> None:
    with workshop.database.write() as session:
        projects.delete(session, workshop.world.principal, workshop.world.project_id)
        session.execute(sa.update(Project).values(piece_count=10_000))  # the worker embeds its memories
    assert workshop.world.index._worker.count_missing() == 0
    assert list(workshop.build()) == []
    assert workshop.written == []
    with workshop.database.read() as session:
        assert session.get(ProjectIndex, workshop.world.project_id) is None


def test_a_change_after_the_last_step_keeps_its_task(workshop: Workshop) -> None:
    build = workshop.build()
    while len(workshop.written) < len(TEXTS):
        next(build)
    changed = ids_of(workshop.world)[0]
    workshop.world.update(changed, "a red kayak")
    list(build)
    with workshop.database.read() as session:
        pending = session.scalars(sa.select(col(IndexTask.memory_number)).where(col(IndexTask.memory_number) > 0)).all()
    assert pending == [workshop.world.memory(changed).number]
    workshop.follow()
    assert workshop.holds(changed)


def test_tasks_of_a_missing_collection_are_dropped_when_it_is_rebuilt(workshop: Workshop) -> None:
    list(workshop.build())
    rebuild.forget_collections(workshop.database)
    workshop.world.add("a red kayak")
    assert not following.due_tasks(workshop.database, sa.true())
    list(workshop.build())
    with workshop.database.read() as session:
        assert session.scalars(sa.select(IndexTask)).all() == []


def ids_of(world: World) -> Sequence[str]:
    with world.database.read() as session:
        return session.scalars(sa.select(col(Memory.id)).order_by(col(Memory.number))).all()


def test_few_pieces_are_written_at_a_time(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "PIECES", 10)
    workshop.begin()
    workshop.world.add_many(["One kayak here. Another kayak there. " * 3, *TEXTS])
    due = following.due_tasks(workshop.database, sa.true())
    assert [len(tasks) for tasks in due.values()] in ([4], [5], [6], [7], [8])
    monkeypatch.setattr(following, "PIECES", 1)
    assert [len(tasks) for tasks in following.due_tasks(workshop.database, sa.true()).values()] == [1]


def is_in_files(folder: Path, vector: Vector) -> bool:
    """Return whether the graph of a collection has the vector: 64 numbers after 132 bytes of links, before a label."""
    for file in folder.rglob("data_level0.bin"):
        elements = np.frombuffer(file.read_bytes(), np.uint8).reshape(-1, 132 + 64 * 4 + 8)
        vectors = np.ascontiguousarray(elements[:, 132:-8]).view("<f4")
        if np.isclose(vectors, vector, atol=1e-4).all(axis=1).any():
            return True
    return False


@pytest.mark.parametrize("days", [-1, 365], ids=["a day ago", "by a clock that was set back"])
def test_deleted_vectors_leave_the_files_and_the_collection_stays(
    workshop: Workshop, tmp_path: Path, days: int
) -> None:
    list(workshop.build())
    row, world = workshop.row(), workshop.world
    deleted = ids_of(world)[0]
    with workshop.database.read() as session:
        vector = world.index._matrices.read_memories(session, [world.memory(deleted).number]).vectors[0]
    vector = centered(row, vector)
    workshop.chroma.write_files(row.collection)
    assert is_in_files(tmp_path / "chroma", vector)
    world.delete(deleted)
    with workshop.database.write() as session:
        session.execute(sa.update(ProjectIndex).values(erased_at=now() + timedelta(days=days)))
        assert due.next_to_erase(session, sa.true()) is None  # Chroma has not followed yet
    workshop.follow()
    with workshop.database.read() as session:
        old = due.next_to_erase(session, sa.true())
    assert old == (world.project_id, row.collection, 1)
    erasing.erase(workshop.database, workshop.chroma, *old)
    assert not is_in_files(tmp_path / "chroma", vector)
    with workshop.database.read() as session:
        assert due.next_to_erase(session, sa.true()) is None
    assert workshop.row().collection == row.collection
    assert workshop.chroma.count(row.collection) == len(workshop.pieces())
