"""A deleted memory is in no search result any longer, and is erased from disk within seconds."""

import resource
import time
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import col, select

from server.domain.memory import deletions
from server.domain.teams import cascades
from server.index.upkeep import worker
from server.index.words import word_index
from server.index.words.backend import word_index_of
from server.models import IndexTask, Memory, Project, TrashedMemory
from server.models.base import now
from server.storage import chunks
from server.storage.database_failures import why
from tests.support.world import World, eventually


def on_disk(folder: Path, *words: str) -> set[str]:
    """Return those of the words, in lower case, that any file under `folder` contains."""
    content = b"".join(path.read_bytes().lower() for path in folder.rglob("*") if path.is_file())
    return {word for word in words if word.encode() in content}


@pytest.mark.sqlite_only
def test_a_deleted_memorys_words_are_erased_from_disk_within_a_second(world: World) -> None:
    folder = world.settings.data_dir
    moment = now() - timedelta(minutes=10)
    world.add_many([f"we talked about the weather {n}" for n in range(300)])
    deleted = world.add("The password is Xylographqua", at=moment)
    world.add("What came after that?", at=moment + timedelta(minutes=1))
    forms = ("xylographqua", "xylographq")  # the word and its stem
    assert on_disk(folder, *forms)
    world.delete(deleted)
    eventually(lambda: not on_disk(folder, *forms), seconds=2)
    assert world.texts("what came after")[0] == "What came after that?"


@pytest.mark.sqlite_only
def test_a_deletion_soon_after_another_is_erased_after_a_pause(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each erasure may rewrite the whole word index."""
    monkeypatch.setattr("server.index.upkeep.erasing.LEAST_PAUSE_SECONDS", 2.0)
    world.delete(world.add("The password is Xylographqua"))
    eventually(lambda: not on_disk(world.settings.data_dir, "xylographqu"))
    erased_at = time.monotonic()
    world.delete(world.add("The password is Zephyrquill"))
    eventually(lambda: not on_disk(world.settings.data_dir, "zephyrquil"))
    assert time.monotonic() - erased_at > 1.0


def test_a_deletion_of_all_that_finds_nothing_erases_nothing(world: World) -> None:
    """Each erasure may rewrite the whole word index, and some programs delete all of a user after each conversation."""
    world.add("The password is Xylographqua", user_id="ann")
    written: list[str] = []
    sa.event.listen(world.database.engine, "before_cursor_execute", lambda *event: written.append(event[2]))
    for user_id in ("ben", "ann"):
        written.clear()
        with world.database.write() as session:
            assert deletions.delete_all(session, world.principal, world.project_id, user_id) == (user_id == "ann")
        assert any(f"INSERT INTO {IndexTask.__tablename__}" in one for one in written) == (user_id == "ann")


@pytest.mark.sqlite_only
def test_words_are_found_and_erased_after_many_deletions(world: World) -> None:
    world.add_many([f"we talked about the weather {n}" for n in range(100)])
    kept = world.add("What came after that?")
    for _ in range(1_100):
        with world.database.write() as session:
            word_index.memories_changed(session, world.project_id, None, [world.memory(kept).number], {})
        assert word_index_of(world.database).purge(world.database)
    assert world.texts("what came after")[0] == "What came after that?"


@pytest.mark.sqlite_only
def test_on_a_full_disk_words_wait_for_space_and_the_log_says_so_in_one_line(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[BaseException | None] = []

    def noted(error: BaseException | None) -> str:
        failures.append(error)
        return why(error)

    monkeypatch.setattr(worker, "why", noted)
    deleted = world.add("The password is Xylographqua")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with world.database.read() as session:
        session.exec(select(Memory.number)).first()
        world.delete(deleted)
        assert not word_index_of(world.database).purge(world.database), "somebody reads an older state"
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        eventually(lambda: len(failures) > 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    eventually(lambda: not on_disk(world.settings.data_dir, "xylographqu"))
    reasons = [record.__dict__["reason"] for record in caplog.records if "index waits" in record.message]
    assert reasons == ["OperationalError: disk I/O error"]
    assert "Traceback" not in caplog.text


@pytest.mark.sqlite_only
def test_r35_a_deleted_memorys_earlier_versions_are_erased_too(world: World) -> None:
    memory_id = world.add("The password is Xylographqua")
    world.update(memory_id, "The password is Zephyrquill")
    world.delete(memory_id)
    eventually(lambda: not on_disk(world.settings.data_dir, "xylographqu", "zephyrquil"), seconds=2)


@pytest.mark.sqlite_only
def test_a_memory_that_leaves_the_trash_for_good_is_erased(world: World) -> None:
    memory_id = world.add("The password is Xylographqua")
    world.update(memory_id, "The password is Zephyrquill")
    for permanent in (False, True):
        with world.database.write() as session:
            deletions.delete(session, world.principal, memory_id, permanent)
    world.index.wake()
    eventually(lambda: not on_disk(world.settings.data_dir, "xylographqu", "zephyrquil"), seconds=2)


@pytest.mark.sqlite_only
def test_a_memory_that_another_process_deleted_is_erased(world: World) -> None:
    memory_id = world.add("The password is Xylographqua")
    with world.database.write() as session:  # another process cannot wake this process's worker
        deletions.delete(session, world.principal, memory_id, permanent=True)
    eventually(lambda: not on_disk(world.settings.data_dir, "xylographqu"), seconds=4)


@pytest.mark.sqlite_only
def test_a_deleted_projects_words_are_erased(world: World) -> None:
    other = world.another_project()
    other.add("The password is Xylographqua")
    with world.database.write() as session:
        cascades.remove_projects(session, col(Project.id) == other.project_id)
    world.index.wake()
    eventually(lambda: not on_disk(world.settings.data_dir, "xylographqu"), seconds=2)


def in_tables_of_postgres(world: World, *words: str) -> set[str]:
    """Return those of the words that any row of the database contains."""
    found: set[str] = set()
    with world.database.engine.connect() as connection:
        for table in sa.inspect(connection).get_table_names():
            rows = connection.execute(sa.text(f'SELECT CAST(t AS text) FROM "{table}" t')).scalars()
            found |= {word for row in rows for word in words if word in row.lower()}
    return found


def in_files_of_postgres(world: World, *words: str) -> set[str]:
    """Return those of the words that any table's file contains after a vacuum."""
    with world.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM FULL")
        connection.exec_driver_sql("CHECKPOINT")
        folder = connection.scalar(sa.text("SELECT current_setting('data_directory')"))
        database = connection.scalar(sa.text("SELECT oid FROM pg_database WHERE datname = current_database()"))
    return on_disk(Path(folder) / "base" / str(database), *words)


def test_what_is_deleted_for_good_is_in_no_table_and_no_file(world: World) -> None:
    words = ("xylographqu", "zephyrquil")
    permanent, trashed = world.add_many(["The password is Xylographqua", "Another is Xylographqua"])
    for memory_id in (permanent, trashed):
        world.update(memory_id, "The password is Zephyrquill")
    with world.database.write() as session:
        deletions.delete(session, world.principal, trashed)
    assert world.database.is_sqlite or in_tables_of_postgres(world, *words) == set(words)
    world.delete(permanent)
    with world.database.write() as session:
        deletions.delete_all(session, world.principal, world.project_id)
    world.index.wake()
    if world.database.is_sqlite:
        eventually(lambda: not on_disk(world.settings.data_dir, *words), seconds=2)
    else:
        assert in_tables_of_postgres(world, *words) == set()
        assert in_files_of_postgres(world, *words) == set()


def test_deleting_all_memories_of_one_user_keeps_those_of_others(world: World) -> None:
    world.add_many(["red canoe one", "red canoe two"], user_id="ann")
    world.add("red canoe three", user_id="bob")
    with world.database.write() as session:
        assert deletions.delete_all(session, world.principal, world.project_id, "ann") == 2
    assert world.texts("red canoe") == ["red canoe three"]


def test_all_memories_are_deleted_in_turns_so_that_others_can_write(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "TURN_SECONDS", 0.0)
    ids = world.add_many([f"red canoe {n}" for n in range(2 * chunks.MOST_MEMORIES + 1)])
    turns: list[str] = []
    with world.database.write() as session:
        deletions.delete(session, world.principal, ids[0])
        sa.event.listen(session, "after_commit", lambda _session: turns.append("ended"))
        assert deletions.delete_all(session, world.principal, world.project_id) == len(ids) - 1
    assert len(turns) >= 3
    with world.database.read() as session:
        assert (world.texts("red canoe"), session.exec(select(TrashedMemory.id)).all()) == ([], [])
        project = session.get_one(Project, world.project_id)
        assert (project.memory_count, project.memory_bytes, project.piece_count) == (0, 0, 0)


def test_the_counters_follow_every_change(world: World) -> None:
    first, second = world.add_many(["One sentence here. And another one there.", "red canoe"])
    world.update(first, "Only one sentence is left.")
    world.delete(second)
    with world.database.read() as session:
        project = session.get_one(Project, world.project_id)
        assert (project.memory_count, project.piece_count, project.removals) == (1, 1, 1)
        assert project.revision == session.exec(select(Memory.revision)).one() == 2


def test_no_task_is_left_when_the_index_is_up_to_date(world: World) -> None:
    world.delete(world.add("red canoe"))

    def task_count() -> int:
        with world.database.read() as session:
            return session.scalar(sa.select(sa.func.count()).select_from(IndexTask)) or 0

    eventually(lambda: task_count() == 0)
