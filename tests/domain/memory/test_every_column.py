"""Every column of a memory is exported, restored by undo and compared by a change, or listed here with the reason.

A new column fails these tests until each of the three lists decides about it.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import col

from server.dashboard.views.memories import restore_form
from server.domain.memory import changes, imports, memories
from server.domain.memory.exchange import export
from server.domain.memory.exchange import lines as exchange
from server.domain.memory.inputs import MemoryChange, Message, NewMemory
from server.models import Memory, MemoryVersion
from tests.support.moving import read_lines
from tests.support.world import World

COLUMNS = {sa.inspect(Memory).get_property_by_column(column).key for column in sa.inspect(Memory).columns}

VERSION_COLUMNS = {column.name for column in sa.inspect(MemoryVersion).columns}

FOLLOWS = {
    "source_kind": "what stores the memory again is its source",
    "source_id": "what stores the memory again is its source",
    "source_name": "what stores the memory again is its source",
    "updated_source": "what stores the memory again is its source",
    "stored_at": "when this server stored the row",
    "number": "the database numbers the row",
    "id": "the restored memory is a new one",
    "project_id": "the caller chooses the project",
    "content_hash": "computed from the content",
    "revision": "the project's counter at the last change",
    "embedding_model": "the model of the server that stores the memory",
    "piece_count": "computed from the content",
    "place": "computed from the memory before it",
}
NOT_EXPORTED = FOLLOWS | {
    "created_by": "a user id means nothing on another server",
    "updated_by": "a user id means nothing on another server",
}
VERSION_NOT_EXPORTED = {
    "memory_number": "the version is in the line of its memory",
    "updated_by": "a user id means nothing on another server",
}
NOT_RESTORED = FOLLOWS | {
    "version": "the history is deleted with the memory",
    "updated_at": "the time of the last change goes with the history",
    "created_by": "the user who restores the memory",
    "updated_by": "the user who restores the memory",
}
NOT_COMPARED = FOLLOWS | {
    "user_id": "cannot be changed",
    "messages": "a new text removes them",
    "version": "counts the changes",
    "created_at": "cannot be changed",
    "created_by": "cannot be changed",
    "updated_at": "the time of the change",
    "updated_by": "the user who makes the change",
}
SPECIAL: dict[str, Any] = {"pinned": True, "expires_at": "2199-01-01T00:00:00Z"}
CHANGES: dict[str, MemoryChange] = {
    "text": MemoryChange(text="Behind the house."),
    "metadata": MemoryChange(metadata={"tags": "garden"}),
    "pinned": MemoryChange(pinned=True),
    "expires_at": MemoryChange(expires_at=datetime(2199, 1, 1, tzinfo=UTC)),
}


def add(world: World, new: NewMemory) -> Memory:
    with world.database.write() as session:
        memory_id = memories.add(session, world.principal, new, world.index)
    return world.memory(memory_id)


def change(world: World, memory: Memory, change: MemoryChange) -> Memory:
    with world.database.write() as session:
        memories.update(session, world.principal, memory.id, change, world.index)
    return world.memory(memory.id)


@pytest.fixture
def plain(world: World) -> Memory:
    return add(world, NewMemory(messages=[Message(role="user", content="x")], project_id=world.project_id))


@pytest.fixture
def full(world: World) -> Memory:
    """A memory that differs from `plain` in every column that these tests compare."""
    messages = [Message(role="user", content="Where is it?"), Message(role="assistant", content="Here.")]
    created_at = datetime(2024, 5, 6, 7, 8, 9, 10, UTC)
    new = NewMemory(messages=messages, user_id="ann", created_at=created_at, project_id=world.project_id, **SPECIAL)
    return change(world, add(world, new), MemoryChange(metadata={"tags": "lake"}))


def values(memory: Memory, columns: Iterable[str]) -> dict[str, object]:
    return {column: getattr(memory, column) for column in sorted(columns)}


def equal_columns(first: Memory, second: Memory, columns: Iterable[str]) -> list[str]:
    return [column for column in columns if getattr(first, column) == getattr(second, column)]


def test_every_column_is_exported_or_has_a_reason() -> None:
    exported = set(exchange.MEMORY_ATTRIBUTES.values())
    assert exported ^ set(NOT_EXPORTED) == COLUMNS
    assert {*exchange.MEMORY_ATTRIBUTES, "id", "history", "source", "updated_source"} == set(exchange.Line.model_fields)


def test_an_imported_memory_has_the_values_of_the_exported_one(world: World, full: Memory, plain: Memory) -> None:
    columns = COLUMNS - set(NOT_EXPORTED)
    other = world.another_project()
    with world.database.read() as session:
        lines = list(export.export_memories(session, world.project_id))
    imports.import_memories(world.database, other.project_id, read_lines(lines), world.index)
    with world.database.read() as session:
        oldest = sa.select(Memory).where(sa.column("project_id") == other.project_id).order_by(sa.column("id")).limit(1)
        imported = session.scalars(oldest).one()
    assert values(imported, columns) == values(full, columns)
    assert equal_columns(full, plain, columns) == []


def test_every_column_of_a_version_is_exported_or_has_a_reason() -> None:
    assert {*exchange.EarlierVersion.model_fields} ^ {*VERSION_NOT_EXPORTED} == VERSION_COLUMNS


def test_a_version_of_an_imported_memory_is_restored_with_its_pin_and_expiry(world: World, full: Memory) -> None:
    change(world, full, MemoryChange(pinned=False, expires_at=None))
    other = world.another_project()
    with world.database.read() as session:
        lines = list(export.export_memories(session, world.project_id))
    imports.import_memories(world.database, other.project_id, read_lines(lines), world.index)
    with world.database.write() as session:
        (imported_id,) = session.scalars(sa.select(col(Memory.id)).where(col(Memory.project_id) == other.project_id))
        restored = changes.restore(session, other.principal, imported_id, full.version, world.index)
        assert (restored.pinned, restored.expires_at) == (True, full.expires_at)


def test_undo_restores_every_column_without_a_reason(world: World, full: Memory, plain: Memory) -> None:
    columns = COLUMNS - set(NOT_RESTORED)
    form = restore_form(full)
    world.delete(full.id)
    restored = add(world, NewMemory.model_validate_json(form))
    assert values(restored, columns) == values(full, columns)
    assert equal_columns(full, plain, columns) == []


def test_every_column_is_compared_by_a_change_or_has_a_reason() -> None:
    compared = set(memories.MEMORY_ATTRIBUTES.values())
    assert compared ^ set(NOT_COMPARED) == COLUMNS
    assert set(memories.MEMORY_ATTRIBUTES) == set(MemoryChange.model_fields) == set(CHANGES)


@pytest.mark.parametrize("field", CHANGES)
def test_a_change_of_one_field_makes_one_version(world: World, plain: Memory, field: str) -> None:
    changed = change(world, plain, CHANGES[field])
    assert changed.version == plain.version + 1
    assert equal_columns(changed, plain, [memories.MEMORY_ATTRIBUTES[field]]) == []
    assert change(world, changed, CHANGES[field]).version == changed.version
