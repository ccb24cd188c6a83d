"""A long memory is stored in several transactions, so that other writers do not wait long, and only once."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlmodel import Session

from server.domain.memory import batches, deletions, imports, memories, publishing, trash
from server.domain.memory.exchange.lines import Line
from server.domain.memory.imports import import_memories
from server.domain.memory.inputs import NewMemory
from server.domain.teams import projects
from server.index import outbox
from server.index.types import UNEMBEDDED, Embedded
from server.index.upkeep import removal
from server.index.words.backend import word_index_of
from server.index.words.titles import memory_terms
from server.models import Memory, Project
from server.models.base import JsonObject
from server.storage import chunks
from server.storage.database import paused
from tests.domain.memory.test_imports import RESUMED, age, lines, resume, staged, stored
from tests.support.fakes import WordEmbedder
from tests.support.world import World

WORDS = 9_000


def long_line() -> Line:
    texts = [" ".join(f"word{number}" for number in range(start, start + 900)) for start in range(0, WORDS, 900)]
    messages = [{"role": "user", "content": text} for text in [*texts, "kayak"]]
    return Line.model_validate({"content": "\n".join([*texts, "kayak"]), "messages": messages})


def long_memory(world: World) -> NewMemory:
    return NewMemory(messages=long_line().messages, project_id=world.project_id)


def committed(world: World) -> str:
    """Stage a long memory and decide that it is stored."""
    with world.database.write() as session:
        import_id = imports.begin(session, world.principal, world.project_id)
    with world.database.write() as session:
        imports.stage(session, world.principal, import_id, [(1, long_line())], world.index)
    with world.database.write() as session:
        imports.commit(session, world.principal, import_id)
    return import_id


def publish(world: World, import_id: str, steps: int) -> None:
    for _ in range(steps):
        with world.database.write() as session:
            assert imports.publish(session, None, import_id)


def counts(world: World, *terms: str) -> list[int]:
    with world.database.read() as session:
        return list(word_index_of(session).counts(session, world.project_id, terms))


def assert_whole(world: World) -> None:
    """Assert that the memory is there once, with all its words and vectors, and that the counters know it."""
    assert (stored(world), staged(world)) == (1, (0, 0))
    assert counts(world, "word0", f"word{WORDS - 1}", "kayak", "canoe") == [1, 1, 1, 0]
    with world.database.read() as session:
        memory = session.scalars(sa.select(Memory)).one()
        project = session.get(Project, world.project_id)
        pieces = session.scalar(sa.text("SELECT count(*) FROM pieces"))
    assert project is not None
    assert memory.embedding_model == WordEmbedder.name
    assert (project.memory_count, project.piece_count, memory.piece_count) == (1, pieces, pieces)


@contextmanager
def watched(world: World) -> Iterator[list[set[str]]]:
    """Yield what each transaction of this thread has written."""
    transactions: list[set[str]] = [set()]
    thread = threading.get_ident()

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_more: object) -> None:
        if threading.get_ident() != thread:
            return
        if statement.startswith("INSERT INTO pieces"):
            transactions[-1].add("vectors")
        if "INTO memory_words" in statement and "word8999" in str(parameters):
            transactions[-1].add("words")
        if statement.startswith("INSERT INTO staged_memories") and "word8999" in str(parameters):
            transactions[-1].add("staged")
        if statement.startswith("DELETE FROM staged_memories"):
            transactions[-1].add("deleted")

    def end(_connection: object) -> None:
        if threading.get_ident() == thread:
            transactions.append(set())

    engine = world.database.engine
    event.listen(engine, "before_cursor_execute", note)
    event.listen(engine, "commit", end)
    try:
        yield transactions
    finally:
        event.remove(engine, "before_cursor_execute", note)
        event.remove(engine, "commit", end)


def add(world: World) -> None:
    with world.database.write() as session:
        memories.add(session, world.principal, long_memory(world), world.index)


def import_(world: World) -> None:
    import_memories(world.database, world.project_id, [long_line()], world.index)


@pytest.mark.parametrize("store", [add, import_])
def test_a_long_memory_is_stored_in_short_transactions(world: World, store: Callable[[World], None]) -> None:
    with watched(world) as transactions:
        store(world)
    written = [each for each in transactions if each - {"deleted"}]
    assert written == [{"staged"}, {"vectors"}, {"words", "deleted"}], "the large row is deleted between the last two"
    assert_whole(world)


def test_a_long_memory_has_the_id_of_the_answer_and_its_key_is_used_once(world: World) -> None:
    ids = []
    for _ in range(2):
        with world.database.write() as session:
            ids.append(memories.add(session, world.principal, long_memory(world), world.index, "key"))
    assert ids[0] == ids[1] == world.memory(ids[0]).id
    assert_whole(world)


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_after_a_crash_between_two_steps_a_long_memory_is_whole(world: World, steps: int) -> None:
    publish(world, committed(world), steps)
    age(world, RESUMED)
    resume(world)
    assert_whole(world)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_long_memory_deleted_between_two_steps_stays_away(world: World, steps: int) -> None:
    import_id = committed(world)
    publish(world, import_id, steps)
    with world.database.write() as session:
        memory_id = session.scalars(sa.select(Memory.id)).one()  # type: ignore[call-overload]  # a column
        deletions.delete(session, world.principal, memory_id, permanent=True)
    age(world, RESUMED)
    resume(world)
    assert (stored(world), staged(world), counts(world, "word0")) == (0, (0, 0), [0])


def test_a_long_memory_changed_between_two_steps_keeps_its_new_words(world: World) -> None:
    publish(world, committed(world), 1)
    with world.database.read() as session:
        memory_id = session.scalars(sa.select(Memory.id)).one()  # type: ignore[call-overload]  # a column
    world.update(memory_id, "a red canoe")
    age(world, RESUMED)
    resume(world)
    assert (staged(world), counts(world, "canoe", "word0")) == ((0, 0), [1, 0])


def test_a_project_deleted_between_two_steps_takes_its_long_memory_along(world: World) -> None:
    import_id = committed(world)
    publish(world, import_id, 1)
    with world.database.write() as session:
        projects.delete(session, world.principal, world.project_id)
    with world.database.write() as session:
        assert not imports.publish(session, None, import_id)
    removal.remove_all(world.database)
    assert (stored(world), staged(world)) == (0, (0, 0))


@pytest.mark.parametrize("moment", ["end_turn", "memory_terms"])
def test_two_processes_publish_a_long_memory_once(world: World, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """Another process publishes all of it while this one lets others have their turn."""
    import_id = committed(world)
    work = getattr(imports, moment)

    def overtaken(*args: Any) -> object:
        monkeypatch.setattr(imports, moment, work)
        with paused(args[0]) if moment == "end_turn" else nullcontext():
            is_more = True
            while is_more:
                with world.database.write() as session:
                    is_more = imports.publish(session, None, import_id)
        return None if moment == "end_turn" else work(*args)

    monkeypatch.setattr(imports, moment, overtaken)
    is_more = True
    while is_more:
        with world.database.write() as session:
            is_more = imports.publish(session, None, import_id)
    assert getattr(imports, moment) is work
    assert_whole(world)


def test_a_long_memory_that_leaves_the_trash_while_its_words_are_cut_has_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = committed(world)
    publish(world, import_id, 2)
    with world.database.read() as session:
        memory_id = session.scalars(sa.select(Memory.id)).one()  # type: ignore[call-overload]  # a column
    with world.database.write() as session:
        deletions.delete(session, world.principal, memory_id)
    has_left = []

    def leave() -> None:
        has_left.append(memory_id)
        with world.database.write() as session:
            trash.restore(session, world.principal, memory_id)

    def cut_meanwhile(text: str, details: JsonObject) -> list[str]:
        if not has_left:
            leave()
        return memory_terms(text, details)

    monkeypatch.setattr(imports, "memory_terms", cut_meanwhile)
    publish(world, import_id, 1)
    if not has_left:  # there was nothing to cut
        leave()
    with world.database.write() as session:
        assert not imports.publish(session, None, import_id)
    assert_whole(world)


def test_a_long_memory_without_its_words_is_known_to_another_import(world: World) -> None:
    import_id = committed(world)
    publish(world, import_id, 1)
    imported = import_memories(world.database, world.project_id, [long_line()], world.index)
    assert imported == imports.Imported(known=1)
    assert_whole(world)


def test_long_texts_without_vectors_are_written_a_few_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the model is away, there are no pieces to count."""
    texts = [Line(content=f"{'kayak ' * 1_600}{number}") for number in range(8)]
    sizes: dict[str, list[int]] = {"kept": [], "stored": []}
    keep, added = imports.keep, outbox.memories_added

    def kept(session: Session, import_id: str, new: Sequence[publishing.Staged]) -> None:
        sizes["kept"].append(len(new))
        keep(session, import_id, new)

    def seen(session: Session, project_id: str, new: Sequence[Memory], embedded: Sequence[Embedded]) -> None:
        sizes["stored"].append(len(new))
        added(session, project_id, new, embedded)

    monkeypatch.setattr(imports, "keep", kept)
    monkeypatch.setattr(outbox, "memories_added", seen)
    monkeypatch.setattr(world.index, "embed", lambda texts: [UNEMBEDDED] * len(texts))
    assert import_memories(world.database, world.project_id, texts, world.index).stored == 8
    assert sizes == {"kept": [4, 4], "stored": [1] * 8}


def test_long_rows_are_discarded_a_few_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "MOST_BYTES", 1_200)
    with world.database.write() as session:
        import_id = imports.begin(session, world.principal, world.project_id)
    with world.database.write() as session:
        imports.stage(session, world.principal, import_id, list(enumerate(lines(5), 1)), world.index)
    left = []
    is_more = True
    while is_more:
        with world.database.write() as session:
            is_more = imports.discard(session, None, import_id)
        left.append(staged(world))
    assert left == [(1, 3), (1, 1), (1, 0), (0, 0)]


def test_a_short_memory_is_one_transaction(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object) -> None:
        raise AssertionError

    monkeypatch.setattr(batches, "store", fail)
    world.add("I paddle a red kayak.")
