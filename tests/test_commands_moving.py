"""`import` and `export` on the command line."""

from pathlib import Path

from tests.support.commands import Run


def test_a_folder_goes_in_and_comes_out_in_every_format(run: Run, project_id: str, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "Rome.md").write_text("---\ntags: [trip]\n---\nThe hotel is near the station.")
    brought = run("import", "--project", project_id, str(notes))
    assert "Imported 1 memories." in brought.err, brought.err
    assert "The hotel is near the station." in run("export", "--project", project_id, "--format", "csv").out
    kept = run("import", "--project", project_id, "--on-duplicate", "keep", str(notes / "Rome.md"))
    assert "Imported 1 memories. Skipped 0" in kept.err
    missing = run("import", "--project", project_id, str(notes / "nothing"))
    assert (missing.code, "There is no file or folder" in missing.err) == (1, True)


def test_what_an_import_does_not_take_is_named(run: Run, project_id: str) -> None:
    line = b'{"content": "Tea.", "expiration_date": "2030-01-01", "tag": "x"}\n'
    told = run("import", "--project", project_id, given=line).err
    assert "warning: expiration_date: is not a field" in told
    assert "warning: tag: is not a field; did you mean tags?" in told
