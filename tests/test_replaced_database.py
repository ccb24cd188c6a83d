"""What happens when another file takes the place of SQLite's while the server runs."""

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from server.settings import Settings
from server.storage.database import Database
from tests.conftest import Tenant
from tests.live.test_server import client_of, new_key
from tests.support.server_process import started, workers_of
from tests.support.world import eventually


@pytest.fixture
def file(settings: Settings) -> Path:
    return Path(sa.make_url(settings.database_url.get_secret_value()).database or "")


def copied(file: Path, copy: Path) -> Path:
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def contents(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [text for (text,) in connection.execute("SELECT content FROM memories ORDER BY id")]


async def add(client: httpx.AsyncClient, alice: Tenant, content: str) -> int:
    return (await client.post("/api/memories", json={"content": content}, headers=alice.auth)).status_code


@pytest.mark.parametrize("is_moved_first", [False, True])
async def test_a_file_that_was_replaced_takes_no_memories_and_damages_none(
    client: httpx.AsyncClient,
    alice: Tenant,
    file: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    is_moved_first: bool,
) -> None:
    assert await add(client, alice, "In both files.") == 200
    copy = copied(file, tmp_path / "copy")
    assert await add(client, alice, "In the first file. " * 500) == 200
    if is_moved_first:
        os.rename(file, tmp_path / "aside")
    os.replace(copy, file)
    assert await add(client, alice, "In no file.") == 503
    assert any("was replaced by another file" in str(vars(record).get("reason")) for record in caplog.records)
    assert (await client.get("/api/memories", headers=alice.auth)).status_code == 503
    assert (await client.get("/health")).json()["checks"]["database"]["status"] == "unhealthy"
    assert contents(file) == ["In both files."]
    if is_moved_first:
        assert contents(tmp_path / "aside") == ["In both files.", "In the first file. " * 500]


async def test_a_new_folder_in_the_place_of_the_data_folder_stays_empty(
    client: httpx.AsyncClient, alice: Tenant, database: Database, file: Path, tmp_path: Path
) -> None:
    with database.read() as session:  # so that the next transaction needs another connection
        session.execute(sa.text("SELECT 1"))
        os.rename(file.parent, tmp_path / "away")
        os.mkdir(file.parent)
        with pytest.raises(sa.exc.OperationalError, match="was moved or deleted"), database.read():
            pass
    assert await add(client, alice, "In no file.") == 503
    os.rmdir(file.parent)
    os.rename(tmp_path / "away", file.parent)
    assert await add(client, alice, "Back again.") == 200


def test_a_new_worker_creates_no_database_in_the_place_of_one_that_was_moved(tmp_path: Path) -> None:
    key = new_key(tmp_path)
    with started(tmp_path, "--workers", "2") as server:
        os.rename(tmp_path / "data", tmp_path / "away")
        for worker in workers_of(server):
            os.kill(worker, signal.SIGKILL)
        eventually(lambda: "was moved or deleted: put it back" in "".join(server.log), 60)
        assert not (tmp_path / "data").exists()
        os.rename(tmp_path / "away", tmp_path / "data")
        with client_of(server, key) as client:
            assert client.get("/api/users/me").status_code == 200
