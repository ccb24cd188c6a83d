"""To whom the files belong that `python -m server connect --write` changes."""

import errno
import json
import os
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


def test_a_file_of_a_group_that_its_user_is_not_in_is_changed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse_groups(_path: str, _user: int, group: int) -> None:
        if group != -1:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "chown", refuse_groups)
    assert main(["connect", "cursor", "--write"]) == 0
    assert json.loads(file.read_text())["mcpServers"]["selfmemory"] == {"url": URL}
