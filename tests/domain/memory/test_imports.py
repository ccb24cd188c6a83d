"""An import is stored completely or not at all, even after a crash, in short transactions."""

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from server.domain.memory import deletions, imports, inputs, publishing, storing, unfinished
from server.domain.memory.exchange.lines import Line
from server.domain.memory.imports import import_memories
from server.errors import Invalid, NotFound
from server.models import Import, StagedMemory
from server.models.base import now
from server.principal import CredentialKind, Principal
from tests.support.moving import read_lines
from tests.support.world import World

COUNT = 200
RESUMED = unfinished.TAKEN_OVER_AFTER + timedelta(seconds=1)
"""After this time, housekeeping ends a committed import."""


def lines(count: int = COUNT) -> Iterator[Line]:
    return (Line(content=f"Memory {number} is about a kayak.") for number in range(count))


def stored(world: World) -> int:
    with world.database.read() as session:
        return session.scalar(sa.text("SELECT count(*) FROM memories")) or 0


def staged(world: World) -> tuple[int, int]:
    with world.database.read() as session:
        tables = (Import, StagedMemory)
        counts = [session.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table in tables]
        return counts[0], counts[1]


def staged_only(world: World, count: int = 40) -> str:
    """Stage lines as an import does, and stop as after a crash."""
    with world.database.write() as session:
        import_id = imports.begin(session, world.principal, world.project_id)
    for chunk in imports.in_chunks(lines(count)):
        with world.database.write() as session:
            imports.stage(session, world.principal, import_id, chunk, world.index)
    return import_id


def age(world: World, by: timedelta) -> None:
    with world.database.write() as session:
        session.execute(sa.update(Import).values(touched_at=now() - by))


def resume(world: World) -> None:
    with world.database.read() as session:
        waiting = unfinished.left_behind(session, now() - timedelta(days=1))
    for import_id, is_committed, _ in waiting:
        step = imports.publish if is_committed else imports.discard
        is_more = True
        while is_more:
            with world.database.write() as session:
                is_more = step(session, None, import_id)


def half_published(world: World) -> str:
    """Publish the first step of an import, and stop as after a crash."""
    import_id = staged_only(world)
    with world.database.write() as session:
        imports.commit(session, world.principal, import_id)
    with world.database.write() as session:
        assert imports.publish(session, None, import_id)
    assert 0 < stored(world) < 40
    return import_id


def test_no_transaction_of_an_import_writes_for_long(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    longest = 0
    insert = storing.insert

    def counted(session: object, project_id: str, new: list[object], embedded: object) -> None:
        nonlocal longest
        longest = max(longest, len(new))
        insert(session, project_id, new, embedded)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(publishing, "insert", counted)
    assert import_memories(world.database, world.project_id, lines(), world.index).stored == COUNT
    assert (stored(world), staged(world)) == (COUNT, (0, 0))
    assert 0 < longest <= storing.MOST_ITEMS
    assert len(world.texts("kayak", limit=100)) == 100


def test_others_write_while_an_import_reads(world: World) -> None:
    """The file may come over a slow line."""

    def slowly() -> Iterator[Line]:
        for number, line in enumerate(lines(64)):
            if number == 40:
                began = time.monotonic()
                world.add("a red canoe")
                assert time.monotonic() - began < 5
            yield line

    assert import_memories(world.database, world.project_id, slowly(), world.index).stored == 64
    assert stored(world) == 65


def test_what_is_staged_is_seen_by_nobody(world: World) -> None:
    staged_only(world)
    assert (stored(world), world.texts("kayak")) == (0, [])


def test_an_invalid_line_at_the_end_leaves_nothing(world: World) -> None:
    with pytest.raises(Invalid, match="line 101"):
        import_memories(
            world.database,
            world.project_id,
            read_lines([*(line.model_dump_json() for line in lines(100)), "{}"]),
            world.index,
        )
    assert (stored(world), staged(world)) == (0, (0, 0))


def test_after_a_crash_before_the_commit_nothing_is_left(world: World) -> None:
    staged_only(world)
    age(world, timedelta(minutes=5))
    resume(world)
    assert staged(world) == (1, 40), "somebody may still work on it"
    age(world, timedelta(hours=1))
    resume(world)
    assert (stored(world), staged(world)) == (0, (0, 0))


def test_after_a_crash_behind_the_commit_all_is_stored(world: World) -> None:
    half_published(world)
    resume(world)
    assert 0 < stored(world) < 40, "another process may still work on it"
    age(world, RESUMED)
    resume(world)
    assert (stored(world), staged(world)) == (40, (0, 0))


def test_after_a_crash_a_repeated_import_answers_when_all_can_be_found(world: World) -> None:
    half_published(world)
    assert import_memories(world.database, world.project_id, lines(40), world.index).known == 40
    assert (stored(world), staged(world)) == (40, (0, 0))


def test_after_a_crash_a_new_process_continues_at_once_and_others_after_seconds(world: World) -> None:
    half_published(world)
    with world.database.read() as session:
        assert unfinished.left_behind(session, now() - timedelta(minutes=1)) == []
        [left] = unfinished.left_behind(session, now())
    with world.database.write() as session:
        assert unfinished.take_over(session, left)
    with world.database.write() as session:
        assert not unfinished.take_over(session, left), "only one process takes over"


def test_after_a_crash_deleting_all_leaves_no_rest_that_appears_later(world: World) -> None:
    half_published(world)
    with world.database.write() as session:
        assert deletions.delete_all(session, world.principal, world.project_id) == 40
    age(world, RESUMED)
    resume(world)
    assert (stored(world), staged(world)) == (0, (0, 0))


def test_who_lost_the_right_imports_nothing(world: World) -> None:
    import_id = staged_only(world)
    stranger = Principal("user_other", CredentialKind.SESSION, "session")
    with world.database.write() as session, pytest.raises(NotFound):
        imports.commit(session, stranger, import_id)
    assert stored(world) == 0


def test_a_day_that_has_only_begun_in_the_east_is_imported_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    today = now() - timedelta(days=1)
    tomorrow = (today + timedelta(days=1)).date()
    line = f'{{"content": "a daily note", "created_at": "{tomorrow}", "updated_at": "{tomorrow}"}}'
    for hour, stored, known in ((15, 1, 0), (16, 0, 1)):
        with monkeypatch.context() as patch:
            patch.setattr(inputs, "now", lambda hour=hour: today.replace(hour=hour))
            read = [*read_lines([line])]
        counts = import_memories(world.database, world.project_id, read, world.index)
        assert (counts.stored, counts.known) == (stored, known)
