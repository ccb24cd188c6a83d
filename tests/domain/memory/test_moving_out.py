"""What goes out in any format comes in as the same."""

import io
import json
from pathlib import Path

import pytest

from server.domain.memory import memories
from server.domain.memory.exchange.entries import Warnings
from server.domain.memory.exchange.export import ExportFormat, write_export
from server.domain.memory.exchange.sources import checked, read_path
from server.domain.memory.imports import import_memories
from server.domain.memory.inputs import Message, NewMemory
from server.domain.memory.labels import parse_list
from tests.support.world import World


@pytest.mark.parametrize("wanted", ExportFormat)
def test_what_goes_out_comes_in_as_the_same(world: World, tmp_path: Path, wanted: ExportFormat) -> None:
    for text in ("=1+1", "'quoted", "-", 'two\nlines, and; "more"', "---\ntags: x\n---\nhead", "żółć 🎈 "):
        world.add(text, metadata={"tags": "a b,c", "deep": {"list": [1, 2.5, None]}, "=x": "=y", "id": "mine"})
    with world.database.write() as session:
        messages = [Message(role="user", content="x" * 9_000), Message(role="bot", content="y\n" * 4_000 + "z")]
        memories.add(session, world.principal, NewMemory(messages=messages, project_id=world.project_id), world.index)
    exported = out(world, wanted)
    path = tmp_path / "exported"
    path.write_bytes(exported)
    other = world.another_project()
    assert (
        import_memories(other.database, other.project_id, checked(read_path(path, Warnings())), other.index).stored == 7
    )
    assert comparable(out(other, ExportFormat.JSONL)) == comparable(out(world, ExportFormat.JSONL))


def test_no_cell_of_a_table_is_a_formula(world: World) -> None:
    world.add("=HYPERLINK(1)", user_id="@ann")
    table = out(world, ExportFormat.CSV).decode()
    assert "'=HYPERLINK(1)" in table
    assert "'@ann" in table


def out(world: World, wanted: ExportFormat) -> bytes:
    file = io.BytesIO()
    with world.database.read() as session:
        write_export(session, world.project_id, file, wanted=wanted)
    return file.getvalue()


def comparable(exported: bytes) -> list[str]:
    """Return the lines without ids and sources. Markdown keeps tags as a list, whatever their form was."""
    lines = [json.loads(line) for line in exported.splitlines()]
    for line in lines:
        if "tags" in line.get("metadata", {}):
            line["metadata"]["tags"] = parse_list(line["metadata"]["tags"])
    return [json.dumps({**line, "id": None, "source": None}, sort_keys=True) for line in lines]
