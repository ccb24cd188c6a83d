"""Backups: whole and consistent while the server writes, and restored completely or not at all."""

import itertools
import os
import resource
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from server.index.upkeep import worker
from server.models import Project
from server.settings import Settings
from server.storage.database import Database, newest_schema
from tests.support.backups import Command
from tests.support.commands import Ran
from tests.support.earlier import database_at
from tests.support.fakes import WordEmbedder
from tests.support.world import World, eventually, opened


def remembered(settings: Settings, *texts: str) -> set[str]:
    """Add the texts, and return all that is stored."""
    with opened(settings, WordEmbedder()) as world:
        if texts:
            world.add_many(texts)
        return set(world.texts("", limit=100))


def test_a_backup_while_others_write_is_restored_with_all_that_was_there_and_nothing_of_after(
    settings: Settings, data_dir: Path, tmp_path: Path, on_database: Command
) -> None:
    file = tmp_path / "backup"
    with opened(settings, WordEmbedder()) as world:
        first = world.add("a red canoe on the lake")
        gone = world.add("a kayak at night")
        ran = while_adding(world, lambda: on_database("backup", file))
        assert ran.code == 0, ran.err
        world.update(first, "the canoe was sold")
        world.delete(gone)
        world.add("soup for Bob")
        assert "stop" in on_database("restore", file).err
    ran = on_database("restore", file)
    assert (ran.code, ran.out) == (0, ""), ran.err
    with opened(settings, WordEmbedder()) as world:
        assert {"a red canoe on the lake", "a kayak at night"} <= set(world.texts("a canoe or kayak on the lake"))
        assert not {"soup for Bob", "the canoe was sold"} & set(world.texts("soup for Bob, canoe sold", limit=100))
        numbers = {int(text.split()[-1]) for text in world.texts("", limit=100) if text.startswith("memory number")}
        assert len(numbers) == max(numbers) - min(numbers) + 1, "one moment, without gaps"
        world.add("a tandem in the morning")
        assert world.found("tandem")[0].similarity > 0.5
    assert on_database("doctor").out.count("WRONG") == 0


def while_adding(world: World, work: Callable[[], Ran]) -> Ran:
    """Do the work while a thread adds one memory after another."""
    ended = threading.Event()

    def add() -> None:
        numbers = itertools.count()
        while not ended.is_set():
            world.add(f"memory number {next(numbers)}")

    thread = threading.Thread(target=add)
    thread.start()
    try:
        eventually(lambda: len(world.texts("", limit=100)) > 5)
        return work()
    finally:
        ended.set()
        thread.join()


@pytest.mark.sqlite_only
def test_a_backup_of_yesterday_is_not_answered_from_the_index_of_today(
    settings: Settings, data_dir: Path, tmp_path: Path, on_database: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "CHECK_EVERY_SECONDS", 0.1)
    large = settings.model_copy(update={"exact_scan_limit": 0})
    with opened(large, WordEmbedder()) as world:
        world.add("a red canoe on the lake")
        on_database("backup", tmp_path / "yesterday")
        world.add_many(["a kayak on the lake", "a canoe at night"])
        eventually(lambda: world.index._worker.count_missing() == 0)
    assert on_database("restore", tmp_path / "yesterday").code == 0
    with opened(large, WordEmbedder()) as world:
        world.add("a green tandem")  # gets the number of a memory that the old index knows
        eventually(lambda: world.index._worker.count_missing() == 0)
        assert set(world.texts("a canoe on the lake")) == {"a red canoe on the lake", "a green tandem"}
        assert world.found("a green tandem")[0].similarity > 0.5


def test_a_backup_is_one_private_file_that_never_overwrites_another(
    settings: Settings, data_dir: Path, tmp_path: Path, on_database: Command
) -> None:
    remembered(settings, "a red canoe")
    file = tmp_path / "backup"
    assert on_database("backup", file).code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_bytes()
    ran = on_database("backup", file)
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert f"{file} exists and is not overwritten" in ran.err
    assert file.read_bytes() == before
    missing = tmp_path / "missing" / "backup"
    assert on_database("backup", missing).err == f"selfmemory: There is no folder {missing.parent}.\n"
    assert f"cannot write to the folder {file} as user {os.geteuid()}: " in on_database("backup", file / "backup").err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "data"]


def test_a_backup_passes_through_standard_output_and_input(
    settings: Settings, data_dir: Path, on_database: Command
) -> None:
    remembered(settings, "a red canoe")
    copy = on_database("backup", "-").out.encode("latin-1")
    remembered(settings, "a kayak")
    assert on_database("restore", "-", given=copy).code == 0
    assert remembered(settings) == {"a red canoe"}
    assert "standard input is not a backup" in on_database("restore", "-", given=b"notes").err
    assert not list(data_dir.glob("restore-*"))


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file may grow beyond some kilobytes, as on a disk that is almost full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_no_half_backup(
    settings: Settings, data_dir: Path, tmp_path: Path, on_database: Command, small_disk: None
) -> None:
    ran = on_database("backup", tmp_path / "backup")
    assert (ran.code, ran.err.count("\n")) == (1, 1), ran.err
    assert "check that its disk has space" in ran.err or "pg_dump failed" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_what_cannot_be_restored_is_named_and_changes_nothing(
    settings: Settings, data_dir: Path, tmp_path: Path, on_database: Command
) -> None:
    remembered(settings, "a red canoe")
    whole = tmp_path / "whole"
    assert on_database("backup", whole).code == 0
    half, cut, notes, later = (tmp_path / name for name in ("half", "cut", "notes", "later"))
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    cut.write_bytes(whole.read_bytes()[:-200])
    notes.write_text("my notes " * 100)
    set_schema(settings, "9999")
    assert on_database("backup", later).code == 0
    set_schema(settings, newest_schema())
    refusals = {
        half: f"{half} is damaged",
        cut: "is damaged",
        notes: f"{notes} is not a backup",
        later: f"a newer version of the server wrote the backup {later} (schema 9999",
        tmp_path / "missing": f"cannot read the backup {tmp_path / 'missing'}: No such file",
        tmp_path: f"cannot read the backup {tmp_path}: Is a directory",
    }
    before = sorted(data_dir.iterdir())
    for file, why in refusals.items():
        ran = on_database("restore", file)
        assert sorted(data_dir.iterdir()) == before
        assert (ran.code, ran.out) == (1, "")
        assert ran.err.count("\n") == 1, ran.err
        assert why in ran.err
    assert remembered(settings) == {"a red canoe"}


def set_schema(settings: Settings, version: str) -> None:
    url = settings.database_url.get_secret_value()
    with closing(Database(url, connections=1)) as database, database.write() as session:
        session.execute(sa.text("UPDATE alembic_version SET version_num = :version"), {"version": version})


@pytest.mark.sqlite_only
def test_a_page_that_rotted_is_found_before_anything_changes(
    settings: Settings, data_dir: Path, tmp_path: Path, on_database: Command
) -> None:
    remembered(settings, *(f"memory number {n} of the canoe" for n in range(300)))
    file = tmp_path / "backup"
    on_database("backup", file)
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2 : len(damaged) // 2 + 3000] = b"\xff" * 3000
    file.write_bytes(damaged)
    assert f"{file} is damaged" in on_database("restore", file).err


@pytest.mark.sqlite_only
def test_files_of_other_programs_are_no_backup(data_dir: Path, tmp_path: Path, on_database: Command) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE photos (name)")
    (tmp_path / "dump").write_bytes(b"PGDMP" + b"\0" * 100)
    assert "is another program's database" in on_database("restore", tmp_path / "other.db").err
    assert (
        "is a backup of Postgres, and SELFMEMORY_DATABASE_URL is SQLite"
        in on_database("restore", tmp_path / "dump").err
    )
    assert "is the database itself" in on_database("restore", data_dir / "selfmemory.db").err


@pytest.mark.sqlite_only
def test_the_database_from_before_is_kept_also_when_it_is_damaged(
    settings: Settings, data_dir: Path, tmp_path: Path, on_database: Command
) -> None:
    remembered(settings, "a red canoe")
    on_database("backup", tmp_path / "backup")
    (data_dir / "selfmemory.db").write_bytes(b"rotten")
    ran = on_database("restore", tmp_path / "backup")
    assert ran.code == 0
    [kept] = data_dir.glob("selfmemory.db.before-restore-*")
    assert kept.read_bytes() == b"rotten"
    assert f"What was added since the backup is only in the previous database, {kept}: " in ran.err
    assert remembered(settings) == {"a red canoe"}


@pytest.mark.sqlite_only
@pytest.mark.parametrize("log", ["-wal", "-journal"])
def test_the_log_of_a_database_that_was_deleted_is_not_applied_to_the_restored_one(
    settings: Settings, data_dir: Path, tmp_path: Path, on_database: Command, log: str
) -> None:
    remembered(settings, "a red canoe")
    on_database("backup", tmp_path / "backup")
    (data_dir / "selfmemory.db").unlink()
    (data_dir / f"selfmemory.db{log}").write_bytes(b"pages of the other database")
    assert on_database("restore", tmp_path / "backup").code == 0
    assert not (data_dir / f"selfmemory.db{log}").exists()
    assert remembered(settings) == {"a red canoe"}


@pytest.mark.sqlite_only
def test_a_restore_waits_for_nobody_who_has_the_database_open(
    data_dir: Path, tmp_path: Path, on_database: Command
) -> None:
    on_database("backup", tmp_path / "backup")
    with closing(sqlite3.connect(data_dir / "selfmemory.db")) as other:
        other.execute("SELECT * FROM users").fetchall()
        assert "another program has the database" in on_database("restore", tmp_path / "backup").err


@pytest.mark.sqlite_only
def test_a_backup_of_an_earlier_version_is_made_as_it_is_and_upgraded_when_restored(
    settings: Settings, data_dir: Path, tmp_path: Path, on_database: Command
) -> None:
    file = data_dir / "selfmemory.db"
    file.unlink()
    database_at(f"sqlite:///{file}", "0004")
    assert on_database("backup", tmp_path / "backup").code == 0
    with closing(sqlite3.connect(tmp_path / "backup")) as copy:
        assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == ("0004",)
    assert on_database("restore", tmp_path / "backup").code == 0
    with closing(Database(f"sqlite:///{file}", connections=1)) as database, database.read() as session:
        assert session.get_one(Project, "proj_one").epoch != 0
