"""To whom the files belong that `python -m server connect --write` changes, and what a failure leaves."""

import errno
import json
import os
import resource
from pathlib import Path

import pytest

from server.__main__ import main

URL = "http://localhost:8081/mcp"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_logging: None) -> Path:
    """Cursor's file, in a home folder of its own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    file = tmp_path / ".cursor" / "mcp.json"
    file.parent.mkdir()
    file.write_text("{}")
    return file


def test_the_file_of_another_user_and_its_backup_are_that_users(file: Path) -> None:
    owner = (65534, 65534) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(file, *owner)
    assert main(["connect", "cursor", "--write"]) == 0
    assert {(one.stat().st_uid, one.stat().st_gid) for one in file.parent.iterdir()} == {owner}


def test_a_backup_does_not_go_where_a_link_leads(file: Path, tmp_path: Path) -> None:
    """With sudo, the owner of the folder could otherwise get any file of the machine."""
    other = tmp_path / "other"
    other.write_text("not a backup")
    backup = file.with_name("mcp.json.bak")
    backup.symlink_to(other)
    assert main(["connect", "cursor", "--write"]) == 0
    assert (other.read_text(), backup.read_text(), backup.is_symlink()) == ("not a backup", "{}", False)


def test_a_file_of_a_group_that_its_user_is_not_in_is_changed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse_groups(_path: str, _user: int, group: int) -> None:
        if group != -1:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "chown", refuse_groups)
    assert main(["connect", "cursor", "--write"]) == 0
    assert json.loads(file.read_text())["mcpServers"]["selfmemory"] == {"url": URL}


def test_a_full_disk_leaves_no_part_of_a_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        code = main(["connect", "cursor", "--write"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (code, "cannot be written" in capsys.readouterr().err) == (1, True)
    assert (list(file.parent.iterdir()), file.read_text()) == ([file], "{}")
