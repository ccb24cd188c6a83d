"""`import` and `export` on the command line."""

import json
import os
import zipfile
from pathlib import Path

import pytest

from tests.support.commands import Run, lines


def test_what_is_imported_comes_out_again(run: Run, project_id: str) -> None:
    brought = run("import", "--project", project_id, given=lines("Tee ist gut.", "चाय अच्छी है"))
    assert (brought.code, brought.out) == (0, "")
    assert "Imported 2 memories." in brought.err
    again = run("import", "--project", project_id, given=lines("Tee ist gut.", "चाय अच्छी है"))
    assert again.err == "Imported 0 memories. Skipped 2 that already existed and 0 that had expired.\n"
    first, second = run("export", "--project", project_id).out.splitlines()
    assert json.loads(first)["content"] == "Tee ist gut."
    assert json.loads(second)["content"] == "चाय अच्छी है"
    assert json.loads(second)["metadata"] == {"tags": "tea, Großes"}


def test_a_folder_goes_in_and_comes_out_in_every_format(run: Run, project_id: str, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "Rome.md").write_text("---\ntags: [trip]\n---\nThe hotel is near the station.")
    brought = run("import", "--project", project_id, str(notes))
    assert "Imported 1 memory." in brought.err, brought.err
    assert "The hotel is near the station." in run("export", "--project", project_id, "--format", "csv").out
    kept = run("import", "--project", project_id, "--on-duplicate", "keep", str(notes / "Rome.md"))
    assert "Imported 1 memory. Skipped 0" in kept.err
    missing = run("import", "--project", project_id, str(notes / "nothing"))
    assert (missing.code, "There is no file or folder" in missing.err) == (1, True)


@pytest.mark.parametrize("name", ["jsonl", "csv"])
def test_the_format_of_an_export_has_the_same_name_for_an_import(run: Run, project_id: str, name: str) -> None:
    run("import", "--project", project_id, given=b'{"content": "Tea.", "created_at": "2026-01-01"}')
    exported = run("export", "--project", project_id, "--format", name).out.encode()
    again = run("import", "--project", project_id, "--format", name, given=exported)
    assert "Skipped 1 that already existed" in again.err


def test_a_project_may_be_given_by_its_name_if_no_other_has_it(run: Run, project_id: str) -> None:
    told = run("create-key", "--email", "ann@example.com").err
    assert f"The key is for the project My Memories ({project_id}).\n" in told
    assert "Imported 1 memory." in run("import", "--project", "my memories", given=b'{"content": "Tea."}').err
    assert "Tea." in run("export", "--project", "My Memories").out
    run("create-user", "--email", "ben@example.com")
    for command in ("import", "export"):
        told = run(command, "--project", "My Memories").err
        assert f"Several projects have the name My Memories: give the id of one, such as {project_id}, proj_" in told
    assert "Tea." in run("export", "--project", project_id).out


def test_the_name_of_a_project_may_be_written_as_word_processors_write_it(run: Run) -> None:
    run("create-key", "--email", "ann@example.com", "--project", "Ann\u2019s caf\u00e9")
    for name in ("Ann\u2019s caf\u00e9", "ann's cafe\u0301 "):
        assert (
            "Imported 1 memory."
            in run("import", "--project", name, "--format", "csv", given=f"content\n{name}\n".encode()).err
        ), name


def test_a_pipe_is_read_to_its_end(run: Run, project_id: str) -> None:
    """`import <(zcat memories.jsonl.gz)` gives the command a pipe, which can be read only once."""
    reader, writer = os.pipe()
    os.write(writer, b'{"content": "Tea."}\n{"content": "Rum."}\n')
    os.close(writer)
    assert "Imported 2 memories." in run("import", "--project", project_id, f"/dev/fd/{reader}").err
    os.close(reader)


def test_an_empty_import_says_that_there_was_nothing(run: Run, project_id: str) -> None:
    told = run("import", "--project", project_id, given=b"\n")
    assert (told.code, "There was nothing to import." in told.err) == (0, True), told.err


def test_what_an_import_skips_is_counted_by_its_reason(run: Run, project_id: str) -> None:
    given = b'{"content": "Tea."}\n{"content": "Rum.", "expires_at": "2020-01-01T00:00:00Z"}\n'
    told = run("import", "--project", project_id, given=given).err
    assert told == "Imported 1 memory. Skipped 0 that already existed and 1 that had expired.\n"
    told = run("import", "--project", project_id, given=given).err
    assert told == "Imported 0 memories. Skipped 1 that already existed and 1 that had expired.\n"


def test_what_an_import_does_not_take_is_named(run: Run, project_id: str) -> None:
    line = b'{"content": "Tea.", "reviewed_on": "2030-01-01", "tag": "x"}\n'
    told = run("import", "--project", project_id, given=line).err
    assert "warning: reviewed_on: is not a field" in told
    assert "warning: tag: is not a field; did you mean tags?" in told


def test_a_text_that_an_import_does_not_read_is_named(run: Run, project_id: str) -> None:
    lines = b'{"memory": "Tea.", "text": "Tea."}\n{"content": "Milk.", "memory": "", "text": "Sugar."}\n'
    told = run("import", "--project", project_id, given=lines).err
    warning = "of several different texts, only the first of content, memory, text was read, such as line 2 (1 time)"
    assert told.splitlines()[0] == f"warning: {warning}"
    assert "Imported 2 memories." in told


def test_an_export_says_how_much_it_wrote(run: Run, project_id: str) -> None:
    assert run("export", "--project", project_id).err == "Exported 0 memories.\n"
    run("import", "--project", project_id, given=b'{"content": "Tea."}')
    assert run("export", "--project", project_id, "--format", "csv").err == "Exported 1 memory.\n"


def test_the_command_says_what_it_leaves_out_and_what_is_damaged(run: Run, project_id: str, tmp_path: Path) -> None:
    path = tmp_path / "vault.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name in ("good.md", "../evil.md", "a.png"):
            file.writestr(name, "tea")
    told = run("import", "--project", project_id, str(path)).err
    assert "warning: files whose path leads outside the folder were left out, such as ../evil.md (1 time)" in told
    assert "warning: files that are not Markdown, JSON or CSV were left out, such as a.png (1 time)" in told
    assert "Imported 1 memory." in told
    damaged = run("import", "--project", project_id, given=path.read_bytes()[:-30])
    assert (damaged.code, "Nothing was imported. This zip is damaged: its end is missing." in damaged.err) == (1, True)
    long = run("import", "--project", project_id, given=b'{"content": "%s"}' % (b"x" * 10_001))
    assert "line 1: content: has 10,001 characters, and a memory or message holds at most 10,000: split" in long.err
    assert long.err.endswith(" See docs/moving.md.\n")


def test_a_text_without_a_file_has_no_name(run: Run, project_id: str) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"# Tea\n\nAt five.\n")
    os.close(writer)
    assert "Imported 1 memory." in run("import", "--project", project_id, f"/dev/fd/{reader}").err
    os.close(reader)
    named = b"---\ntitle: Rum\nmood: good\n---\n# Drinks\n"
    assert "Imported 1 memory." in run("import", "--project", project_id, given=named).err
    lines = map(json.loads, run("export", "--project", project_id).out.splitlines())
    assert [line.get("metadata") for line in lines] == [None, {"title": "Rum", "mood": "good"}]
