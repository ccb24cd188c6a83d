"""Exact scanning: the cached matrices match SQL and their size is bounded."""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.memory.filters import Filters
from server.index.center import mean_of, without_mean
from server.index.exact.matrix import Matrix, Scan
from server.index.exact.matrix_cache import ENTRY_BYTES, MatrixCache, cache_bytes_of
from server.index.exact.stored_pieces import StoredPieces
from server.index.model.embeddings import Embedder
from server.index.types import Vectors
from server.index.upkeep import rebuild
from server.models import Memory, Project
from server.settings import Settings
from tests.support.fakes import WordEmbedder
from tests.support.world import World, opened

AT_ORIGIN = np.zeros(384, np.float32)
"""The mean of a model whose vectors share no direction."""

WORDS = ("canoe", "kayak", "tandem", "lake", "river", "red", "green", "blue", "night", "morning", "Ann", "Bob", "soup")


def test_a_matrix_refreshed_step_by_step_equals_one_read_at_once(
    world: World, settings: Settings, embedder: Embedder
) -> None:
    rng = random.Random(5)
    ids: list[str] = []
    for _ in range(40):
        match rng.choice(["add", "add", "update", "delete"]):
            case "add":
                ids.append(world.add(". ".join(" ".join(rng.choices(WORDS, k=6)) for _ in range(3))))
            case "update" if ids:
                world.update(rng.choice(ids), " ".join(rng.choices(WORDS, k=5)))
            case "delete" if ids:
                world.delete(ids.pop(rng.randrange(len(ids))))
        world.texts("red canoe")
    stepwise = [(result.memory.id, round(result.score, 4)) for result in world.found("red canoe at night", limit=100)]
    with opened(settings, embedder) as fresh:
        found = fresh.found("red canoe at night", limit=100)
    assert [(result.memory.id, round(result.score, 4)) for result in found] == stepwise
    assert len(stepwise) == len(ids)


def test_only_changed_memories_are_read_again(world: World) -> None:
    world.add_many([f"canoe {n}" for n in range(200)])
    world.texts("canoe")
    read: list[int] = []

    @sa.event.listens_for(world.database.engine, "before_cursor_execute")
    def _count(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "pieces.vector" in statement or statement.startswith("SELECT memories.number, memories.place"):
            read.append(1)

    world.texts("canoe")
    assert read == []
    world.add("kayak")
    world.texts("canoe")
    assert read == [1]


def test_a_project_too_large_for_the_cache_is_read_in_parts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.index.exact.matrix_cache.PART_MEMORIES", 7)
    world.add_many([f"canoe trip number {n}" for n in range(60)])
    world.add("a red kayak", metadata={"tags": "wanted"})
    cached = world.texts("canoe trip number 7", limit=3)
    world.index._matrices._large_project_bytes = 1
    assert world.texts("canoe trip number 7", limit=3)[0] == cached[0]
    assert world.texts("red kayak")[0] == "a red kayak"
    assert world.texts("canoe trip", Filters(tags=("wanted",))) == ["a red kayak"]
    assert len(world.texts("canoe trip", limit=100)) == 61


def test_of_a_project_too_large_to_read_the_newest_memories_and_those_with_the_words_are_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.index.exact.matrix_cache.MOST_IN_PARTS", 5)
    world.index._matrices._large_project_bytes = 1
    world.add("a red kayak")
    world.add_many([f"canoe trip number {n}" for n in range(20)])
    read: list[int] = []
    read_memories = MatrixCache.read_memories

    def seen(cache: MatrixCache, session: Session, numbers: Sequence[int]) -> StoredPieces:
        read.append(len(numbers))
        return read_memories(cache, session, numbers)

    monkeypatch.setattr(MatrixCache, "read_memories", seen)
    found = world.texts("red kayak", limit=100)
    assert (found[0], len(found)) == ("a red kayak", 6)
    assert read[0] == 5


@pytest.mark.sqlite_only
def test_the_least_recently_used_projects_are_evicted(world: World) -> None:
    cache = MatrixCache(WordEmbedder(), cache_bytes=2 * ENTRY_BYTES + WordEmbedder.dimensions * 250)
    projects = [world, world.another_project(), world.another_project()]
    for project in projects:
        project.add_many([f"canoe {n}" for n in range(100)])
    with world.database.read() as session:
        for project in projects:
            cache.scan_project(session, session.get_one(Project, project.project_id))
    assert list(cache._cached) == [project.project_id for project in projects[1:]]


@pytest.mark.parametrize(
    ("limit", "workers", "megabytes"),
    [("4294967296", 1, 128), ("17179869184", 1, 512), ("17179869184", 2, 256), ("17179869184", 8, 128)],
)
def test_the_caches_of_all_workers_take_a_32nd_of_the_memory_of_a_container(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: str, workers: int, megabytes: int
) -> None:
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    monkeypatch.setattr("server.machine.resources.MEMORY_FILE", tmp_path / "memory.max")
    monkeypatch.setattr("os.sysconf", lambda name: {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1 << 30}[name])
    assert cache_bytes_of(workers) == megabytes << 20


def test_a_machine_with_much_memory_has_a_cache_of_a_gigabyte(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("server.machine.resources.MEMORY_FILE", tmp_path / "missing")
    monkeypatch.setattr("os.sysconf", lambda name: {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 1 << 26}[name])
    assert cache_bytes_of(1) == 1 << 30


class Reads:
    """Counts who reads an attribute of a class with slots, through its own descriptor."""

    def __init__(self, owner: type, name: str) -> None:
        self.descriptor = vars(owner)[name]
        self.count = 0

    def __get__(self, instance: object, owner: type) -> object:
        self.count += 1
        return self.descriptor.__get__(instance, owner)

    def __set__(self, instance: object, value: object) -> None:
        self.descriptor.__set__(instance, value)


def without_memories(number: int) -> Project:
    return Project(id=f"proj_{number}", organization_id="org_1", name="", name_key="", created_by="user_1")


@pytest.mark.sqlite_only
def test_a_search_looks_at_no_more_matrices_when_more_projects_are_cached(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = MatrixCache(WordEmbedder())
    reads = Reads(Scan, "matrix")
    monkeypatch.setattr(Scan, "matrix", reads)
    counts = []
    with world.database.read() as session:
        for number in range(300):
            before = reads.count
            cache.scan_project(session, without_memories(number))
            cache.scan_project(session, without_memories(0))
            counts.append(reads.count - before)
    assert counts[-1] == counts[1]


@pytest.mark.sqlite_only
def test_projects_without_pieces_take_space(world: World) -> None:
    cache = MatrixCache(WordEmbedder(), cache_bytes=10 * ENTRY_BYTES)
    with world.database.read() as session:
        for number in range(30):
            cache.scan_project(session, without_memories(number))
    assert list(cache._cached) == [f"proj_{number}" for number in range(20, 30)]


@pytest.mark.sqlite_only
def test_no_more_projects_are_cached_than_the_cap(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.index.exact.matrix_cache.MAX_PROJECTS", 7)
    cache = MatrixCache(WordEmbedder())
    with world.database.read() as session:
        for number in range(30):
            cache.scan_project(session, without_memories(number))
    assert list(cache._cached) == [f"proj_{number}" for number in range(23, 30)]


@pytest.mark.sqlite_only
def test_a_project_larger_than_the_cache_leaves_the_others_their_space(world: World) -> None:
    large, other_large = world.another_project(), world.another_project()
    for project in (large, other_large):
        project.add_many([f"canoe {n}" for n in range(200)])
    world.add_many([f"canoe {n}" for n in range(10)])
    cache = MatrixCache(WordEmbedder(), cache_bytes=2 * ENTRY_BYTES + WordEmbedder.dimensions * 20)
    with world.database.read() as session:
        for project in (world, large, other_large):
            cache.scan_project(session, session.get_one(Project, project.project_id))
    assert list(cache._cached) == [world.project_id, other_large.project_id]


@pytest.mark.sqlite_only
def test_the_running_total_is_the_sum_of_what_is_cached(world: World) -> None:
    """Whatever grows, shrinks, is forgotten or evicted."""
    rng = random.Random(3)
    cache = MatrixCache(WordEmbedder(), cache_bytes=2 * ENTRY_BYTES + WordEmbedder.dimensions * 60)
    worlds = [world, *(world.another_project() for _ in range(3))]
    ids: dict[str, list[str]] = {each.project_id: [] for each in worlds}
    for _ in range(60):
        chosen = rng.choice(worlds)
        mine = ids[chosen.project_id]
        match rng.choice(["add", "add", "delete", "forget"]):
            case "add":
                mine += chosen.add_many([f"canoe {rng.random()}" for _ in range(rng.randrange(1, 40))])
            case "delete" if mine:
                chosen.delete(mine.pop())
            case "forget":
                cache.forget(chosen.project_id)
        with world.database.read() as session:
            cache.scan_project(session, session.get_one(Project, chosen.project_id))
        assert cache._total_bytes == sum(cached.counted_bytes for cached in cache._cached.values())
        assert cache._total_bytes <= cache._cache_bytes or len(cache._cached) == 1


def unit_vectors(count: int, dimensions: int) -> Vectors:
    vectors = np.random.default_rng(1).standard_normal((count, dimensions)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def stored(owners: Sequence[int], vectors: Vectors) -> StoredPieces:
    """Each memory's place is ten times its number, and each piece has one character."""
    pieces = enumerate(zip(owners, vectors, strict=True))
    rows = [(owner, owner * 10, at, at, at + 1, 0, vector.tobytes()) for at, (owner, vector) in pieces]
    random.Random(1).shuffle(rows)
    return StoredPieces.from_rows(rows, vectors.shape[1])


def test_the_similarity_is_the_cosine_of_the_best_piece_without_the_mean() -> None:
    vectors = unit_vectors(5, 384)
    matrix, question = Matrix.of(stored((3, 3, 7, 9, 9), vectors)), vectors[1]
    scan = Scan.of(matrix, matrix.mean(AT_ORIGIN))
    similar = scan.compare(question)
    mean = mean_of(vectors.sum(axis=0, dtype=np.float64), 5, AT_ORIGIN)
    cosines = without_mean(vectors, mean) @ without_mean(question, mean)
    assert similar.numbers.tolist() == [3, 7, 9]
    assert similar.similarities == pytest.approx([cosines[:2].max(), cosines[2], cosines[3:].max()], abs=3e-3)
    assert similar.similarities[0] == pytest.approx(1, abs=3e-3)
    assert similar.best_span(3) == (1, 2)
    assert similar.best_span(8) is None
    only = scan.compare_only(question, [9, 3, 8])
    assert only.numbers.tolist() == [3, 9]
    assert only.similarities == pytest.approx(similar.similarities[[0, 2]])
    assert (only.best_span(3), only.best_span(7)) == ((1, 2), None)


def test_a_changed_matrix_keeps_its_order_and_the_old_one_stays_the_same() -> None:
    vectors = unit_vectors(8, 384)

    def matrix(*numbers: int) -> Matrix:
        return Matrix.of(stored(numbers, vectors[list(numbers)]))

    def best(matrix: Matrix) -> list[int]:
        """The memory that is most similar to each vector in turn."""
        scan = Scan.of(matrix, matrix.mean(AT_ORIGIN))
        compared = [scan.compare(vectors[number]) for number in matrix.numbers]
        return [int(similar.numbers[similar.similarities.argmax()]) for similar in compared]

    first = matrix(1, 3, 5)
    grown = first.with_changes(matrix(6, 7), np.array([], np.int64))
    assert grown.numbers.tolist() == best(grown) == [1, 3, 5, 6, 7]
    changed = grown.with_changes(matrix(3), np.array([3, 5]))
    assert changed.numbers.tolist() == best(changed) == [1, 3, 6, 7]
    assert changed.places.tolist() == [10, 30, 60, 70]
    assert changed.mean(AT_ORIGIN) == pytest.approx(matrix(1, 3, 6, 7).mean(AT_ORIGIN), abs=1e-6)
    assert first.numbers.tolist() == best(first) == [1, 3, 5]
    assert best(grown) == [1, 3, 5, 6, 7]


def test_a_vector_of_zeros_is_similar_to_nothing() -> None:
    vectors = np.vstack([unit_vectors(2, 384), np.zeros((1, 384), np.float32)])
    matrix = Matrix.of(stored((1, 2, 3), vectors))
    similar = Scan.of(matrix, np.zeros(384, np.float32)).compare(vectors[0])
    assert similar.similarities.tolist() == pytest.approx([1, float(vectors[0] @ vectors[1]), 0], abs=3e-3)


def test_a_restored_database_is_read_again(world: World) -> None:
    """After a failover or a restore the counters may reach the same values again with other memories."""
    world.add("a canoe on the lake")
    lost = world.memory(world.add("soup for Bob"))
    world.texts("canoe")
    with world.database.write() as session:
        for statement in ("DELETE FROM labels", "DELETE FROM index_tasks"):
            session.execute(sa.text(statement))
        session.execute(sa.delete(Memory).where(col(Memory.id) == lost.id))
        session.execute(sa.update(Project).values(revision=lost.revision - 1))
    rebuild.recount(world.database)
    world.add("a red kayak at night")
    assert world.found("kayak at night")[0].similarity > 0.5
