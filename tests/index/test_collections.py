"""A project above the limit of exact scanning gets the same answers through Chroma, even when Chroma fails."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import col, select

from server.domain.memory.filters import Filters
from server.domain.teams import cascades
from server.index.model.embeddings import Embedder
from server.index.upkeep import worker
from server.models import IndexTask, Project, ProjectIndex
from server.models.base import now
from server.settings import Settings
from tests.support.world import World, eventually, opened


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"exact_scan_limit": 0})


def row_of(world: World) -> ProjectIndex:
    with world.database.read() as session:
        return session.get_one(ProjectIndex, world.project_id)


def is_ready(world: World) -> bool:
    with world.database.read() as session:
        row = session.get(ProjectIndex, world.project_id)
    return row is not None and row.ready_at is not None


def has_tasks(world: World) -> bool:
    with world.database.read() as session:
        return session.exec(select(IndexTask)).first() is not None


@pytest.fixture
def large(world: World) -> World:
    """A project whose collection is ready."""
    world.add_many([f"canoe trip number {n}" for n in range(40)], metadata={"tags": "trips"})
    world.texts("canoe")
    eventually(lambda: is_ready(world))
    return world


def test_a_project_that_outgrows_exact_scanning_gets_a_collection(large: World) -> None:
    assert large.index._collections.is_open
    assert large.texts("canoe trip number 7")[0] == "canoe trip number 7"


@pytest.mark.sqlite_only
def test_the_scores_equal_those_of_exact_scanning(large: World, settings: Settings, embedder: Embedder) -> None:
    through_chroma = [(result.memory.id, round(result.score, 2)) for result in large.found("trip number 12")]
    with opened(settings.model_copy(update={"exact_scan_limit": 5000}), embedder) as exact:
        assert [
            (result.memory.id, round(result.score, 2)) for result in exact.found("trip number 12")
        ] == through_chroma


@pytest.mark.sqlite_only
def test_what_ranks_high_by_its_context_is_compared_too(large: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own words would not make it one of the four that are compared because of their words."""
    question, answer = "which tandem with a bell can I borrow?", "the blue one from Li"
    large.add_many([question, answer])
    for day in range(1, 6):
        large.add(f"borrow tandem {day}", at=now() - timedelta(days=day))
    eventually(lambda: not has_tasks(large))  # a pending memory is always compared
    monkeypatch.setattr("server.domain.memory.search.LEAST_WIDTH", 2)
    found = large.found("borrow blue tandem bell", limit=2)
    assert {one.memory.content for one in found} == {question, answer}
    assert all(one.similarity > 0 for one in found)


def test_pending_changes_are_found_and_deleted_memories_are_not(large: World) -> None:
    first = large.add("a red kayak")
    assert large.texts("red kayak")[0] == "a red kayak"
    large.update(first, "a green tandem")
    assert large.texts("green tandem")[0] == "a green tandem"
    large.delete(first)
    assert "a green tandem" not in large.texts("green tandem", limit=100)


def test_changes_reach_chroma_and_their_tasks_are_deleted(large: World) -> None:
    changed = large.add("One sentence about kayaks. Another sentence about tandems.")
    gone = large.add("a red kayak")
    large.update(changed, "One sentence about kayaks.")
    large.update(gone, "a blue kayak")
    large.delete(gone)
    eventually(lambda: not has_tasks(large))
    chroma, row = large.index._collections.open(as_owner=False), row_of(large)
    assert chroma is not None
    assert chroma.count(row.collection) == 41
    assert large.texts("sentence about kayaks")[0] == "One sentence about kayaks."


def test_with_many_changes_pending_everything_is_scanned(large: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.index.chroma.collections.MAX_PENDING_TASKS", 3)
    large.add_many([f"a red kayak {n}" for n in range(10)])
    assert large.texts("red kayak 7")[0] == "a red kayak 7"
    assert large.index.health().degraded is None


def test_filters_are_applied_before_the_limit(large: World) -> None:
    large.add("something else", metadata={"tags": "wanted"}, user_id="ann")
    assert large.texts("canoe trip", Filters(tags=("wanted",))) == ["something else"]
    assert large.texts("canoe trip", Filters(user_id="ann")) == ["something else"]
    assert len(large.texts("canoe trip", Filters(tags=("trips",)), limit=100)) == 40


@pytest.mark.sqlite_only
def test_a_search_with_wide_filters_widens_until_enough_pass(large: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.domain.memory.search.MOST_ALLOWED", 3)
    monkeypatch.setattr("server.domain.memory.search.LEAST_WIDTH", 2)
    monkeypatch.setattr("server.domain.memory.search.WIDTHS", (25, 1 << 40))
    large.add_many([f"nothing of the kind {n}" for n in range(10)], metadata={"tags": "wanted"})
    eventually(lambda: not has_tasks(large))
    assert len(large.texts("canoe trip", Filters(tags=("wanted",)), limit=10)) == 10


@pytest.mark.sqlite_only
def test_a_damaged_collection_is_no_outage_and_is_rebuilt(large: World, monkeypatch: pytest.MonkeyPatch) -> None:
    chroma, row = large.index._collections.open(as_owner=False), row_of(large)
    assert chroma is not None
    chroma.delete_collection(row.collection)
    assert large.texts("canoe trip number 7")[0] == "canoe trip number 7"
    assert "Chroma failed" in str(large.index.health().degraded)
    large.index._worker.check_soon()
    eventually(lambda: large.index.health().degraded is None)
    repaired = row_of(large)
    assert repaired.collection != row.collection
    assert large.texts("canoe trip number 7")[0] == "canoe trip number 7"


def test_a_deleted_projects_collection_is_deleted(large: World) -> None:
    chroma = large.index._collections.open(as_owner=False)
    assert chroma is not None
    with large.database.write() as session:
        cascades.remove_projects(session, col(Project.id) == large.project_id)
    large.index.wake()
    root = large.settings.data_dir / "chroma"
    eventually(lambda: not chroma.list_names() and not any(path.is_dir() for path in root.glob("*/*")))


def test_many_deleted_vectors_make_the_collection_be_rebuilt(large: World) -> None:
    before = row_of(large)
    for found in large.found("canoe", limit=15):
        large.delete(found.memory.id)
    large.index._worker.check_soon()
    eventually(lambda: row_of(large).collection != before.collection)
    assert len(large.texts("canoe", limit=100)) == 25


def test_after_an_unclean_stop_the_collections_are_rebuilt_in_a_new_directory(
    large: World, settings: Settings, embedder: Embedder, tmp_path: Path
) -> None:
    root = settings.data_dir / "chroma"
    shutil.copytree(root, tmp_path / "copy")
    large.index.close()
    assert not (root / "open").exists()
    shutil.rmtree(root)
    shutil.copytree(tmp_path / "copy", root)
    before = {path.name for path in root.iterdir() if path.is_dir()}
    with opened(settings, embedder) as again:
        assert again.texts("canoe trip number 7")[0] == "canoe trip number 7"
        eventually(lambda: is_ready(again) and {path.name for path in root.iterdir() if path.is_dir()} != before)
        eventually(lambda: is_ready(again))
        assert not before & {path.name for path in root.iterdir()}
        assert again.texts("canoe trip number 7")[0] == "canoe trip number 7"


@pytest.mark.sqlite_only
def test_after_an_unclean_stop_the_changes_of_a_project_that_has_shrunk_do_not_pile_up(
    world: World, settings: Settings, embedder: Embedder
) -> None:
    settings = settings.model_copy(update={"exact_scan_limit": 30})
    world.index.close()
    with opened(settings, embedder) as before:
        ids = before.add_many([f"canoe trip number {n}" for n in range(40)])
        eventually(lambda: is_ready(before))
        for memory_id in ids[:15]:
            before.delete(memory_id)
        eventually(lambda: not has_tasks(before))
    (settings.data_dir / "chroma" / "open").touch()
    with opened(settings, embedder) as after:
        after.add("a red kayak")
        eventually(lambda: is_ready(after) and not has_tasks(after))


@pytest.mark.sqlite_only
def test_an_unreadable_directory_is_replaced(
    large: World, settings: Settings, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "RETRY_SECONDS", 0.1)
    large.index.close()
    (file,) = (settings.data_dir / "chroma").glob("*/chroma.sqlite3")
    file.write_bytes(b"not a database" * 1000)
    with opened(settings, embedder) as again:
        again.add("a red kayak")
        eventually(lambda: is_ready(again) and not file.exists())
        eventually(lambda: is_ready(again) and again.index.health().degraded is None)
        assert again.texts("red kayak")[0] == "a red kayak"


@pytest.mark.sqlite_only
@pytest.mark.parametrize("damage", ["deleted", "overwritten"])
def test_a_directory_that_is_damaged_while_it_is_in_use_is_replaced(
    large: World, settings: Settings, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "RETRY_SECONDS", 0.1)
    root = settings.data_dir / "chroma"
    (file,) = root.glob("*/chroma.sqlite3")
    if damage == "deleted":
        shutil.rmtree(root)
    else:
        file.write_bytes(b"not a database" * 20_000)
    large.add("a red kayak")
    eventually(lambda: not file.exists() and is_ready(large) and not has_tasks(large))
    eventually(lambda: large.index.health().degraded is None)
    assert large.texts("red kayak")[0] == "a red kayak"


@pytest.mark.sqlite_only
def test_a_directory_that_cannot_be_opened_is_an_outage_of_chroma_and_no_bug(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker, "RETRY_SECONDS", 0.1)
    (settings.data_dir / "chroma").touch()
    world.add("a red kayak")
    eventually(lambda: world.index.health().degraded is not None)
    assert "Traceback" not in caplog.text
    assert world.texts("red kayak") == ["a red kayak"]
    (settings.data_dir / "chroma").unlink()
    eventually(lambda: is_ready(world) and world.index.health().degraded is None)


class PanicException(BaseException):
    """A stand-in for `pyo3_runtime.PanicException`, which no program can import."""


@pytest.mark.sqlite_only
def test_a_panic_in_the_library_is_an_outage_of_chroma_and_ends_no_thread(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chroma panics, for example, when it may open no more files."""
    monkeypatch.setattr(worker, "RETRY_SECONDS", 0.1)

    def panic(*_arguments: object, **_options: object) -> None:
        raise PanicException("Too many open files")

    with monkeypatch.context() as broken:
        broken.setattr("chromadb.PersistentClient", panic)
        world.add("a red kayak")
        eventually(lambda: world.index.health().degraded is not None)
        assert world.texts("red kayak") == ["a red kayak"]
    eventually(lambda: is_ready(world) and world.index.health().degraded is None)


def test_after_a_clean_stop_the_collections_are_kept(large: World, settings: Settings, embedder: Embedder) -> None:
    before = row_of(large)
    large.index.close()
    with opened(settings, embedder) as again:
        after = row_of(again)
        assert (after.collection, after.ready_at) == (before.collection, before.ready_at)
        assert again.texts("canoe trip number 7")[0] == "canoe trip number 7"


def test_a_second_process_scans_exactly_and_does_not_open_chroma(large: World, embedder: Embedder) -> None:
    with opened(large.settings, embedder) as second:
        assert second.texts("canoe trip number 7")[0] == "canoe trip number 7"
        assert not second.index._collections.is_open
        second.add("a red kayak")
        eventually(lambda: not has_tasks(large))
        assert large.texts("red kayak")[0] == "a red kayak"


def test_reindex_rebuilds_everything_while_another_process_owns_the_index(large: World, embedder: Embedder) -> None:
    before = row_of(large)
    with large.database.write() as session:
        session.execute(sa.update(Project).values(memory_count=7, piece_count=7))
        session.execute(sa.text("DELETE FROM memory_words"))
    assert large.found("canoe trip number 7")[0].share == 0
    with opened(large.settings, embedder) as command:
        seen: list[str] = []
        command.index.reindex(lambda progress: seen.append(str(progress)))
    after = row_of(large)
    assert after.collection != before.collection
    assert seen[0] == "writing words 100%"
    assert large.found("canoe trip number 7")[0].share == 1
    with large.database.read() as session:
        project = session.get_one(Project, large.project_id)
        assert (project.memory_count, project.piece_count) == (40, 40)
