"""Machines on which no folder for temporary files can be written, like a container with a read-only disk, and full
disks.
"""

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from server.machine.shared_folder import PREFIX, shared_folder
from tests.support.server_process import environment, run

WITHOUT_OTHERS = """
import sys, tempfile
tempfile._candidate_tempdir_list = lambda: ["/proc/nowhere"]
from server.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def test_the_data_folder_holds_what_a_command_needs_for_a_moment(tmp_path: Path) -> None:
    variables = environment(tmp_path)
    run(tmp_path, "create-key", "--email", "ann@example.com", "--project", "Notes")

    def command(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-c", WITHOUT_OTHERS, *arguments, "--project", "Notes"]
        return subprocess.run(line, env=variables, input=given, capture_output=True, text=True, errors="replace")

    imported = command("import", given='{"content": "Anna prefers the window seat."}')
    assert (imported.returncode, "Imported 1 memory" in imported.stderr) == (0, True), imported.stderr
    for kind in ("jsonl", "markdown"):
        exported = command("export", "--format", kind)
        assert (exported.returncode, "Exported 1 memory" in exported.stderr) == (0, True), exported.stderr
    left = {path.name for path in (tmp_path / "data").iterdir()}
    assert left <= {"selfmemory.db", "selfmemory.db.lock", "index.lock", "secret_key"}


def test_a_killed_server_leaves_nothing_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.machine.shared_folder.IN_MEMORY", tmp_path)
    with shared_folder() as of_a_running_server:
        left, young = tmp_path / f"{PREFIX}left", tmp_path / f"{PREFIX}young"
        for folder in (left, young):
            folder.mkdir()
            (folder / "limits").write_text("counts")
        for folder in (left, Path(of_a_running_server)):
            os.utime(folder, (0, 0))
        with shared_folder() as other:
            assert {path.name for path in tmp_path.iterdir()} == {
                young.name, Path(of_a_running_server).name, Path(other).name
            }  # fmt: skip
    assert list(tmp_path.iterdir()) == [young]


def test_a_disk_that_cannot_lock_a_folder_is_no_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int) -> bool:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr("server.machine.shared_folder.try_lock", refuse)
    monkeypatch.setattr("server.machine.shared_folder.IN_MEMORY", tmp_path)
    with shared_folder() as name:
        assert Path(name).parent == tmp_path


def test_a_full_disk_is_named_with_what_can_be_on_it(tmp_path: Path) -> None:
    run(tmp_path, "create-key", "--email", "ann@example.com", "--project", "Notes")
    with open("/dev/full", "w", encoding="ascii") as full:
        line = [sys.executable, "-m", "server", "backup", "-"]
        done = subprocess.run(line, env=environment(tmp_path), stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("selfmemory: a disk is full: either the one to which standard output goes")
    assert "TMPDIR" in done.stderr


@pytest.mark.parametrize("is_piped", [False, True])
def test_a_disk_without_room_for_a_restore_is_named(tmp_path: Path, is_piped: bool) -> None:
    backup = tmp_path / "backup"
    run(tmp_path, "create-key", "--email", "ann@example.com")
    run(tmp_path, "backup", str(backup))
    variables = environment(tmp_path) | {"SELFMEMORY_DATA_DIR": str(tmp_path / "other")}
    line = [sys.executable, "-m", "server", "restore", "-" if is_piped else str(backup)]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, before[1]))  # as on a disk that is almost full
    try:
        done = subprocess.run(line, env=variables, input=backup.read_bytes(), capture_output=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1), done.stderr
    assert f"cannot write to the data folder {tmp_path / 'other'}" in done.stderr.decode()
