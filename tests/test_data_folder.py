"""Data folders with files of another user, and machines without a folder for temporary files."""

import os
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.commands import doctor, running
from server.settings import SettingsError, read_settings
from server.storage import data_folder

OTHER_USER = 65534
LOADED = (doctor, running)  # imported by the commands themselves, here while this user may still read them


FILES = ["selfmemory.db.lock", "index.lock", "server.lock", "secret_key", "chroma/chroma.sqlite3"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder that this user may use, although it is not root."""
    was_root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as parent:
        data = Path(parent) / "data"
        (data / "chroma").mkdir(parents=True)
        for path in (Path(parent), data, data / "chroma", *(data / name for name in FILES)):
            path.touch()
            path.chmod(0o777)
        yield data
        if was_root:
            os.seteuid(0)
        (data / "chroma").chmod(0o777)


def stop_being_root() -> None:
    if os.geteuid() == 0:
        os.seteuid(OTHER_USER)


def test_a_folder_of_this_user_can_be_used(folder: Path) -> None:
    stop_being_root()
    data_folder.require_writable(folder)


@pytest.mark.parametrize("name", ["chroma", *FILES])
def test_a_file_that_a_command_of_root_left_is_named_with_the_command(folder: Path, name: str) -> None:
    (folder / name).chmod(0)
    owner = (folder / name).stat().st_uid
    stop_being_root()
    with pytest.raises(SettingsError) as refused:
        data_folder.require_writable(folder)
    said = str(refused.value)
    assert (
        f"the data folder {folder} as user {os.geteuid()}: it may not use {name}, which belongs to user {owner}. "
        in said
    )
    assert f"Run: sudo chown -R {os.geteuid()} {folder} " in said


def test_a_mounted_folder_may_have_another_name_where_the_command_must_run(folder: Path) -> None:
    """A container has no sudo, and its /data is another folder on the host."""
    assert not folder.is_mount()
    stop_being_root()
    with pytest.raises(SettingsError) as refused:
        data_folder.require_writable(Path("/sys"))
    said = str(refused.value)
    assert f"Run: sudo chown -R {os.geteuid()} /sys (or for a container, " in said
    assert "on the host with the folder that is mounted there)" in said


def test_the_doctor_names_such_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "index.lock").chmod(0)
    stop_being_root()
    doctor.doctor(read_settings(None, data_dir=folder), Namespace())
    line = next(line for line in capsys.readouterr().out.splitlines() if "data folder" in line[:20])
    assert line.startswith("WRONG")
    assert f"sudo chown -R {os.geteuid()} {folder}" in line
