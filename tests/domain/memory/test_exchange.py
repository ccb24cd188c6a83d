"""Export and import: an import of an export gives the same project, and an invalid line changes nothing."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from server.domain.memory import memories
from server.domain.memory.exchange.export import export_memories
from server.domain.memory.imports import import_memories
from server.domain.memory.inputs import Message, NewMemory
from server.domain.memory.memories import ListRequest
from server.errors import Invalid, NotFound
from tests.support.moving import read_lines
from tests.support.world import World

LINE = {"content": "x", "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-01T00:00:00Z"}


def export(world: World) -> list[str]:
    """Return the lines without their ids, which every import gives anew."""
    with world.database.read() as session:
        lines = [json.loads(line) for line in export_memories(session, world.project_id)]
    assert all(line.pop("id").startswith("mem_") for line in lines)
    assert all(line.pop("source")["kind"] in ("session", "import") for line in lines)
    for version in [version for line in lines for version in line.get("history", ())]:
        del version["source"]
    return [json.dumps(line) for line in lines]


def import_lines(world: World, lines: Sequence[str]) -> int:
    return import_memories(world.database, world.project_id, read_lines(lines), world.index).stored


def contents(world: World) -> list[str]:
    with world.database.read() as session:
        listing = ListRequest(limit=1000, project_id=world.project_id)
        return [memory.content for memory in memories.list_memories(session, world.principal, listing).memories]


def test_importing_an_export_gives_the_same_project(world: World) -> None:
    world.add("an old red canoe\nwith two lines", at=datetime(2019, 5, 4, 3, 2, 1, 5, UTC), user_id="ann")
    changed = world.add(
        "first", metadata={"tags": "water,wood", "deep": {"list": [1, 2.5, None, "żółć 🎈", r"\u0000"]}}
    )
    world.update(changed, "second")
    world.update(changed, "third")
    messages = [Message(role="user", content="Where is it?"), Message(role="assistant", content="Here.")]
    with world.database.write() as session:
        memories.add(session, world.principal, NewMemory(messages=messages, project_id=world.project_id), world.index)
    lines = export(world)
    other = world.another_project()
    assert import_lines(other, lines) == 3
    assert export(other) == lines
    assert [version["content"] for version in json.loads(lines[1])["history"]] == ["first", "second"]
    assert other.texts("red canoe")[0] == "an old red canoe\nwith two lines"


def test_a_history_goes_out_and_in_as_what_changed(world: World) -> None:
    """An export of an earlier version has a text in every version, and leaves out empty metadata."""
    versions = [{"version": n, "content": "first", "updated_at": LINE["updated_at"]} for n in range(1, 58)]
    versions += [{"version": 58, "metadata": {"n": 1}, "updated_at": LINE["updated_at"]}]
    versions += [{"version": 59, "content": "second", "metadata": None, "updated_at": LINE["updated_at"]}]
    line = {**LINE, "content": "third", "metadata": {"n": 2}, "version": 60, "history": versions}
    assert import_lines(world, [json.dumps(line)]) == 1
    (exported,) = map(json.loads, export(world))
    history = exported["history"]
    assert [version["version"] for version in history] == list(range(10, 60))
    assert [(version.get("content"), version.get("metadata", {})) for version in history[-4:]] == [
        (None, None), ("first", {}), (None, {"n": 1}), ("second", None),
    ]  # fmt: skip
    other = world.another_project()
    import_lines(other, [json.dumps(exported)])
    assert export(other) == export(world)


def test_imported_memories_pass_filters_and_are_counted(world: World) -> None:
    line: dict[str, Any] = {**LINE, "metadata": {"tags": ["a", "b"]}, "user_id": "ann"}
    assert import_lines(world, [json.dumps(line), "", "\n"]) == 1
    with world.database.read() as session:
        assert memories.stats(session, world.principal, world.project_id) == (1, 0, 2)


def test_a_line_needs_only_its_content(world: World) -> None:
    dated = {"content": "dated", "created_at": "2024-01-01T00:00:00Z"}
    changed = {"content": "changed", "updated_at": "2024-02-01T00:00:00Z"}
    assert import_lines(world, [json.dumps(line) for line in ({"content": "bare"}, dated, changed)]) == 3
    first, second, last = map(json.loads, export(world))
    assert first == {**dated, "updated_at": dated["created_at"]}
    assert second == {**changed, "created_at": changed["updated_at"]}
    assert last["created_at"] == last["updated_at"] > "2026"


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("nonsense", "line 3: "),
        ("[]", "line 3: "),
        (json.dumps({**LINE, "content": " "}), "line 3: content: must not be blank"),
        (json.dumps({**LINE, "content": "x" * 10_001}), "line 3: content: has 10,001 characters, and a memory"),
        (json.dumps({**LINE, "created_at": "2999-01-01"}), "line 3: created_at: must be a time between 1970 and now"),
        (json.dumps({**LINE, "metadata": {"tags": 7}}), "line 3: metadata: tags must be comma-separated text"),
        (json.dumps({**LINE, "content": "a\0b"}), "line 3: content: must not contain a NUL character"),
        (json.dumps({**LINE, "metadata": {"a": ["\0"]}}), "line 3: metadata: must not contain a NUL character"),
        (json.dumps({**LINE, "history": [{**LINE, "version": 1}]}), "line 3: history: must have the oldest"),
        ('{"content": "x", "metadata": {"n": NaN}}', "line 3: "),
        (json.dumps({**LINE, "expires_in_days": 10**9}), "line 3: expires_in_days: must be at most 36500"),
        (json.dumps({**LINE, "expires_in_days": "soon"}), "line 3: expires_in_days: must be a whole number"),
        (json.dumps({**LINE, "version": 2**63}), "line 3: version: must be at most 1000000000"),
        (
            json.dumps({**LINE, "history": [{**LINE, "version": 2**62}]}),
            "line 3: history.0.version: must be at most 1000000000",
        ),
    ],
)
def test_an_invalid_line_is_named_and_nothing_is_imported(world: World, line: str, reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        import_lines(world, [json.dumps(LINE), "", line, json.dumps(LINE)])
    assert refused.value.detail.startswith(reason)
    assert contents(world) == []


@pytest.mark.sqlite_only
def test_progress_is_reported_for_every_memory(world: World) -> None:
    counts: list[int] = []
    lines = [json.dumps({**LINE, "content": f"memory {number}"}) for number in range(70)]
    import_memories(world.database, world.project_id, read_lines(lines), world.index, counts.append)
    assert sum(counts) == 70
    assert len(contents(world)) == 70


def test_a_missing_project_is_not_found(world: World) -> None:
    with pytest.raises(NotFound, match=r"^Project not found\.$"):
        import_memories(world.database, "proj_nothere", [], world.index)
    with world.database.read() as session, pytest.raises(NotFound, match=r"^Project not found\.$"):
        next(export_memories(session, "proj_nothere"))


def test_what_is_imported_says_so_and_keeps_the_name_that_the_file_says(world: World) -> None:
    told = {"kind": "application", "id": "con_x", "name": "Claude Code"}
    changed = {
        "version": 1,
        "content": "before",
        "updated_at": LINE["updated_at"],
        "source": {**told, "name": "Cursor"},
    }
    lines = [{**LINE, "source": told, "version": 2, "history": [changed]}, {"content": "x", "source": 7}]
    import_lines(world, [json.dumps(line) for line in lines])
    with world.database.read() as session:
        first, second = map(json.loads, export_memories(session, world.project_id))
    assert (first["source"]["kind"], first["source"]["name"]) == ("import", "Claude Code")
    assert first["source"]["id"].startswith("imp_")
    assert first["history"][0]["source"] == {**first["source"], "name": "Cursor"}
    assert second["source"] == {**first["source"], "name": "Import"}


def test_a_source_keeps_only_what_can_be_stored(world: World) -> None:
    named: list[object] = ["Pocket\ud83d\0", {"name": "a\nb", "id": "\ud83d"}]
    lines = [json.dumps({"content": f"tea {n}", "source": name}) for n, name in enumerate(named)]
    assert import_lines(world, lines) == 2
    with world.database.read() as session:
        exported = map(json.loads, export_memories(session, world.project_id))
        assert {line["source"]["name"] for line in exported} == {"Pocket", "a b"}


def test_what_a_file_says_has_expired_is_left_out_and_what_will_expire_is_kept(world: World) -> None:
    lines = [
        {"content": "gone", "expires_at": "2020-01-01T00:00:00Z"},
        {"content": "for a while", "expires_in_days": 9},
    ]
    lines.append({"content": "for long", "expires_at": "2199-01-01", "pinned": True})
    assert import_lines(world, [json.dumps(line) for line in lines]) == 2
    with world.database.read() as session:
        while_, long = map(json.loads, export_memories(session, world.project_id))
    assert (while_["content"], while_.get("pinned"), "expires_at" in while_) == ("for a while", None, True)
    assert (long["content"], long["pinned"], long["expires_at"]) == ("for long", True, "2199-01-01T00:00:00Z")
