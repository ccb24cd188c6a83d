"""A long history is imported in parts, so that other writers do not wait long. It never has a gap."""

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col, select

from server.domain.memory import deletions, histories, imports, versions
from server.domain.memory.exchange.export import export_memories
from server.domain.memory.exchange.lines import EarlierVersion, Line
from server.domain.memory.imports import import_memories
from server.models import Memory, MemoryVersion
from server.models.base import now
from server.storage.database import paused
from tests.domain.memory.test_imports import RESUMED, age, resume, staged, stored
from tests.domain.memory.test_long_memories import publish
from tests.support.world import World

COUNT = 12
LENGTH = 1_000
PER_PART = 4


@pytest.fixture(autouse=True)
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histories, "SHORT_LENGTH", 2 * LENGTH)
    monkeypatch.setattr(histories, "PART_LENGTH", (PER_PART + 0.5) * LENGTH)


def line(count: int = COUNT) -> Line:
    """Return a line whose history has each text and each metadata twice in a row."""
    history = [
        EarlierVersion(
            version=number + 1,
            content=f"{number // 2:04} " + "x" * (LENGTH - 5),
            metadata={"part": (number + 1) // 2},
            updated_at=now() - timedelta(hours=count - number),
        )
        for number in range(count)
    ]
    return Line(content="The kayak is red.", version=count + 1, history=history)


def committed(world: World, *more: Line) -> str:
    with world.database.write() as session:
        import_id = imports.begin(session, world.principal, world.project_id)
    with world.database.write() as session:
        imports.stage(session, world.principal, import_id, list(enumerate([line(), *more], 1)), world.index)
    with world.database.write() as session:
        imports.commit(session, world.principal, import_id)
    return import_id


def memory_id(world: World) -> str:
    with world.database.read() as session:
        return session.exec(select(Memory.id).where(Memory.version > 1)).one()


def kept(world: World) -> list[int]:
    with world.database.read() as session:
        return list(session.exec(select(MemoryVersion.version).order_by(col(MemoryVersion.version))))


def states(world: World) -> list[tuple[str, object]]:
    """Return the text and the metadata of each version, newest first."""
    with world.database.read() as session:
        page = versions.history(session, world.principal, memory_id(world), limit=100)
    return [(version.content, version.details) for version in page.versions]


def assert_whole(world: World, count: int = COUNT) -> None:
    expected = [(version.content, version.metadata) for version in reversed(line(count).history)]
    assert states(world)[1:] == expected[: versions.MOST_VERSIONS]
    assert staged(world) == (0, 0)


def test_a_long_history_is_stored_in_short_transactions(world: World) -> None:
    lengths = [0]

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_more: object) -> None:
        if statement.startswith(("INSERT INTO memory_versions", "INSERT INTO staged_memories")):
            lengths[-1] += str(parameters).count("x")

    def end(_connection: object) -> None:
        lengths.append(0)

    engine = world.database.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    sa.event.listen(engine, "commit", end)
    import_memories(world.database, world.project_id, [line()], world.index)
    sa.event.remove(engine, "before_cursor_execute", note)
    sa.event.remove(engine, "commit", end)
    assert sum(lengths) > COUNT * (LENGTH - 10), "each text is staged once and stored once"
    assert max(lengths) <= (PER_PART + 1) * LENGTH
    assert_whole(world)


@pytest.mark.sqlite_only
def test_what_is_exported_and_imported_has_the_same_history(world: World) -> None:
    import_memories(world.database, world.project_id, [line()], world.index)
    with world.database.read() as session:
        (text,) = export_memories(session, world.project_id)
    with world.database.write() as session:
        deletions.delete_all(session, world.principal, world.project_id)
    import_memories(world.database, world.project_id, [Line.model_validate(json.loads(text))], world.index)
    assert_whole(world)


@pytest.mark.sqlite_only
def test_the_last_fifty_versions_are_kept(world: World) -> None:
    import_memories(world.database, world.project_id, [line(120)], world.index)
    assert len(kept(world)) == versions.MOST_VERSIONS
    assert_whole(world, 120)


@pytest.mark.sqlite_only
def test_a_long_history_belongs_to_its_own_memory(world: World) -> None:
    others = [Line(content=f"Canoe {number}.") for number in range(3)]
    import_memories(world.database, world.project_id, [*others, line(), *others], world.index)
    assert stored(world) == 7
    assert_whole(world)


@pytest.mark.parametrize("steps", [1, 2])
def test_after_a_crash_between_two_parts_the_history_is_whole(world: World, steps: int) -> None:
    publish(world, committed(world, Line(content="The last line.")), steps)
    assert kept(world) == sorted(range(COUNT, 0, -1)[: len(kept(world))]) or not steps, "the newest come first"
    age(world, RESUMED)
    resume(world)
    assert_whole(world)


@pytest.mark.sqlite_only
def test_a_crash_while_it_is_staged_leaves_nothing(world: World) -> None:
    with world.database.write() as session:
        import_id = imports.begin(session, world.principal, world.project_id)
    with world.database.write() as session:
        imports.stage(session, world.principal, import_id, [(1, line())], world.index)
    age(world, timedelta(hours=1))
    resume(world)
    assert (stored(world), staged(world)) == (0, (0, 0))


@pytest.mark.sqlite_only
def test_a_memory_deleted_between_two_parts_stays_away(world: World) -> None:
    import_id = committed(world)
    publish(world, import_id, 2)
    world.delete(memory_id(world))
    age(world, RESUMED)
    resume(world)
    assert (stored(world), kept(world), staged(world)) == (0, [], (0, 0))


def test_a_change_between_two_parts_is_kept_with_the_history(world: World) -> None:
    import_id = committed(world)
    publish(world, import_id, 2)
    world.update(memory_id(world), "The kayak is blue.")
    age(world, RESUMED)
    resume(world)
    assert [text for text, _ in states(world)[:2]] == ["The kayak is blue.", "The kayak is red."]
    assert kept(world) == list(range(1, COUNT + 2))


def test_others_write_between_two_parts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another writer comes while the history is staged, and between two parts that are stored."""
    added: list[str] = []

    def write_first(session: Session) -> None:
        with paused(session):
            added.append(world.add(f"Canoe {len(added)}."))

    monkeypatch.setattr(imports, "end_turn", write_first)
    import_memories(world.database, world.project_id, [line()], world.index)
    assert len(added) >= COUNT // 2 // PER_PART
    assert_whole(world)
