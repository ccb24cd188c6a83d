"""Data folders with names that mean something in a URL, and links that lead nowhere."""

import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from server.index.chroma.client import open_embedded
from server.settings import SettingsError, read_settings
from server.storage import data_folder, database_failures
from tests.support.server_process import run

ODD_NAMES = ["50 % off?", "a%25b", "c#d", "e@f:g", "line\nbreak", "Übung €"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_the_database_is_in_the_data_folder_whatever_its_name(tmp_path: Path, name: str) -> None:
    settings = read_settings(None, data_dir=tmp_path / name)
    assert sa.make_url(settings.database_url.get_secret_value()).database == str(tmp_path / name / "selfmemory.db")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_chroma_deletes_collections_and_opens_again_in_such_a_folder(tmp_path: Path, name: str) -> None:
    chroma = open_embedded(tmp_path / name)
    kept, deleted = chroma.new_name(), chroma.new_name()
    for collection in (kept, deleted):
        chroma.create_collection(collection)
        chroma.upsert(collection, [(1, 0)], np.ones((1, 4), np.float32))
    chroma.delete_collection(deleted)
    chroma.close()
    again = open_embedded(tmp_path / name)
    assert (again.fresh, again.list_names()) == (False, {kept})
    again.close()


def test_commands_store_backup_and_restore_in_such_a_folder(tmp_path: Path) -> None:
    data, copy = tmp_path / "100%25 mine?", tmp_path / "copy?.db"
    for command in (["create-user", "--email", "ann@example.com"], ["backup", str(copy)], ["restore", str(copy)]):
        done = run(tmp_path, *command, DATA_DIR=str(data))
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert (data / "selfmemory.db").exists()
    assert {path.name for path in tmp_path.iterdir()} <= {"100%25 mine?", "copy?.db", "guard", "home", "attempts"}


def test_a_link_to_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    link, target = tmp_path / "data", tmp_path / "not mounted"
    link.symlink_to(target)
    with pytest.raises(SettingsError, match=r"it is a link to [^,]*not mounted, which does not exist"):
        data_folder.require_writable(link)


def test_the_advice_for_a_read_only_database_quotes_its_path(tmp_path: Path) -> None:
    file = tmp_path / "my notes.db"
    error = sa.exc.OperationalError("BEGIN", None, sqlite3.OperationalError("attempt to write a readonly database"))
    advice = database_failures.reason(f"sqlite:///{file}", error)
    assert f"Run: sudo chown {os.geteuid()} '{file}'* (or" in advice
