"""A large batch is stored completely or not at all, even after a crash, in short transactions."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlmodel import Session, select

from server.domain.memory import batches, imports, memories, publishing, repeats, storing
from server.domain.memory.idempotency import KeyUsedForAnother
from server.domain.memory.inputs import Message, NewMemory
from server.domain.memory.repeats import Outcome
from server.errors import Forbidden, MaybeStored, NotFound
from server.models import Import, Memory
from tests.domain.memory.test_imports import RESUMED, age, resume, staged, stored
from tests.support.world import World

COUNT = 150


class Killed(BaseException):
    """The process ended here."""


def batch(world: World, count: int = COUNT) -> list[NewMemory]:
    return [
        NewMemory(
            messages=[Message(role="user", content=f"Kayak {number}.")],
            metadata={"tags": ["boat"]},
            user_id="ann",
            project_id=world.project_id,
        )
        for number in range(count)
    ]


def send(world: World, new: Sequence[NewMemory], key: str | None = None) -> list[str]:
    with world.database.write() as session:
        return memories.add_many(session, world.principal, new, world.index, key)


def fail(*_args: object) -> bool:
    raise Killed


def test_a_large_batch_is_stored_in_order_with_its_author(world: World) -> None:
    ids = send(world, batch(world))
    with world.database.read() as session:
        rows = session.exec(select(Memory).order_by(Memory.id)).all()
    assert [row.id for row in rows] == ids
    assert [row.content for row in rows] == [f"Kayak {number}." for number in range(COUNT)]
    assert {(row.created_by, row.user_id, row.version) for row in rows} == {(world.principal.user_id, "ann", 1)}
    assert staged(world) == (0, 0)


def test_no_transaction_of_a_batch_writes_for_long(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    insert = storing.insert

    def counted(session: Session, project_id: str, new: Sequence[Memory], embedded: object) -> None:
        sizes.append(len(new))
        insert(session, project_id, new, embedded)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(publishing, "insert", counted)
    monkeypatch.setattr(memories, "insert", counted)
    send(world, batch(world))
    assert sum(sizes) == COUNT
    assert max(sizes) <= storing.MOST_ITEMS


def test_others_write_between_the_steps_of_a_batch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    began, written = threading.Event(), threading.Event()

    def write() -> None:
        began.wait(20)
        world.add("a red canoe")
        written.set()

    publish = imports.publish
    seen = []

    def watched(*args: object) -> bool:
        began.set()
        seen.append(written.is_set())
        return publish(*args)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(imports, "publish", watched)
    with ThreadPoolExecutor() as threads:
        threads.submit(write)
        send(world, batch(world, 900))
    assert (seen[0], seen[-1]) == (False, True), "the canoe waited for the whole batch"


def test_a_batch_that_is_killed_before_the_decision_leaves_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(imports, "accept", fail)
        with pytest.raises(Killed):
            send(world, batch(world), "key")
    assert (stored(world), staged(world)) == (0, (1, COUNT))
    age(world, timedelta(hours=1))
    resume(world)
    assert (stored(world), staged(world)) == (0, (0, 0))
    send(world, batch(world, 1), "key")  # the key is free


def kill_while_publishing(world: World, new: Sequence[NewMemory], key: str | None = None, steps: int = 1) -> None:
    """Send a batch in a process that ends after the first steps of publishing."""
    left = iter([imports.publish] * steps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imports, "publish", lambda *args: next(left, fail)(*args))
        with pytest.raises(Killed):
            send(world, new, key)
    assert staged(world)[0] == 1


def test_a_batch_that_is_killed_after_the_decision_is_stored(world: World) -> None:
    kill_while_publishing(world, batch(world))
    assert 0 < stored(world) < COUNT
    age(world, RESUMED)
    resume(world)
    assert (stored(world), staged(world)) == (COUNT, (0, 0))


def test_a_repeated_batch_answers_when_all_can_be_found(world: World) -> None:
    new = batch(world)
    kill_while_publishing(world, new, "key")
    ids = send(world, new, "key")
    with world.database.read() as session:
        assert session.scalars(sa.select(Memory.id).order_by(Memory.id)).all() == ids  # type: ignore[call-overload]  # a column
    assert staged(world) == (0, 0)


def test_two_repeated_batches_publish_it_once_together(world: World) -> None:
    new = batch(world)
    kill_while_publishing(world, new, "key")
    with ThreadPoolExecutor() as threads:
        first, second = threads.map(lambda _: send(world, new, "key"), range(2))
    assert first == second
    assert (stored(world), staged(world)) == (COUNT, (0, 0))


@pytest.mark.parametrize("steps", [0, 1])
def test_a_repeated_long_text_is_found_and_not_stored_twice(world: World, steps: int) -> None:
    texts = [" ".join(f"word{number}" for number in range(start, start + 900)) for start in range(0, 9_000, 900)]
    messages = [Message(role="user", content=text) for text in texts]
    new = NewMemory(messages=messages, project_id=world.project_id)
    kill_while_publishing(world, [new], steps=steps)
    with world.database.write() as session:
        again = repeats.remember(session, world.principal, new, world.index)
    assert (again.outcome, stored(world), staged(world)) == (Outcome.KNOWN, 1, (0, 0))


def test_what_cannot_be_published_in_time_is_not_confirmed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    publish = imports.publish
    new = batch(world)

    def busy(session: Session, principal: None, import_id: str) -> bool:
        publish(session, principal, import_id)
        raise sa.exc.TimeoutError

    with monkeypatch.context() as patched:
        patched.setattr(imports, "publish", busy)
        with pytest.raises(MaybeStored):
            send(world, new, "key")
        with pytest.raises(sa.exc.TimeoutError):
            send(world, new, "key")
    assert (stored(world), staged(world)) == (0, (1, COUNT)), "the step that failed is undone"
    ids = send(world, new, "key")
    assert (len(ids), stored(world), staged(world)) == (COUNT, COUNT, (0, 0))


def test_a_key_stores_a_large_batch_once(world: World) -> None:
    new = batch(world)
    with ThreadPoolExecutor() as threads:
        first, second = threads.map(lambda _: send(world, new, "key"), range(2))
    assert first == second == send(world, new, "key")
    assert (stored(world), staged(world)) == (COUNT, (0, 0))
    with pytest.raises(KeyUsedForAnother):
        send(world, batch(world, COUNT + 1), "key")


def test_who_lost_the_right_stores_no_batch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> object:
        raise Forbidden

    with monkeypatch.context() as patched:
        patched.setattr(imports, "accept", refuse)
        with pytest.raises(Forbidden):
            send(world, batch(world))
    assert (stored(world), staged(world)) == (0, (0, 0))


def test_a_small_batch_is_one_transaction(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "store", fail)
    assert len(send(world, batch(world, 30))) == 30


def test_a_batch_whose_project_is_gone_finds_no_project(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = imports.keep

    def without_project(session: Session, import_id: str, staged: Sequence[publishing.Staged]) -> None:
        session.execute(sa.delete(Import))  # as the removal of a deleted project does
        keep(session, import_id, staged)

    monkeypatch.setattr(imports, "keep", without_project)
    with pytest.raises(NotFound, match=r"^Project not found\.$"):
        send(world, batch(world))
    assert stored(world) == 0
