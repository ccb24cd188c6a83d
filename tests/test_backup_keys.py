"""Backups and the secret key: that of the data folder is in them, one from the settings is not."""

import stat
from pathlib import Path

import pytest

from server.settings import Settings
from tests.support.backups import Command

SECRET = "hunter2-hunter2-hunter2-hunter2-hunter2"


@pytest.mark.sqlite_only
def test_a_backup_holds_the_key_of_the_data_folder(
    settings: Settings, data_dir: Path, tmp_path: Path, on_database: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data_dir / "secret_key").write_text(SECRET)
    on_database("backup", tmp_path / "backup")
    elsewhere = tmp_path / "elsewhere"
    monkeypatch.setenv("SELFMEMORY_DATA_DIR", str(elsewhere))
    monkeypatch.setenv("SELFMEMORY_DATABASE_URL", "")
    ran = on_database("restore", tmp_path / "backup")
    assert (ran.code, (elsewhere / "secret_key").read_text()) == (0, SECRET)
    assert stat.S_IMODE((elsewhere / "secret_key").stat().st_mode) == 0o600
    assert SECRET.encode() not in (elsewhere / "selfmemory.db").read_bytes()
    assert SECRET not in ran.out + ran.err


@pytest.mark.sqlite_only
def test_a_key_that_is_a_setting_is_not_in_the_backup_and_another_one_is_noticed(
    data_dir: Path, tmp_path: Path, on_database: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFMEMORY_SECRET_KEY", SECRET)
    assert "Keep SELFMEMORY_SECRET_KEY too" in on_database("backup", tmp_path / "backup").err
    assert SECRET.encode() not in (tmp_path / "backup").read_bytes()
    assert "secret key differs" not in on_database("restore", tmp_path / "backup").err
    monkeypatch.setenv("SELFMEMORY_SECRET_KEY", SECRET * 2)
    assert "secret key differs from the backed-up one" in on_database("restore", tmp_path / "backup").err
