"""Runs commands in this process, each in its own empty folder."""

import asyncio
import io
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlmodel import select

from server.__main__ import main
from server.models import Project
from server.settings import Settings
from server.storage.database import Database


@dataclass(frozen=True)
class Ran:
    """The outcome of one command."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> str:
        """The command's output, which must be a single line."""
        assert self.code == 0, self.err
        assert self.out.count("\n") == 1
        return self.out.strip()


Run = Callable[..., Ran]


@pytest.fixture
def data_dir(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of this test's commands, with a migrated, empty database."""
    monkeypatch.setenv("SELFMEMORY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


@pytest.fixture
def run(
    data_dir: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, own_logging: None
) -> Callable[..., Ran]:
    """`run("create-user", "--email", …, given=text of standard input)`."""

    def command(*arguments: str, given: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), "utf-8"))
        code = main(arguments)
        sys.stdout.flush()
        out, err = capfd.readouterr()
        return Ran(code, out, err)

    return command


@pytest.fixture
def stored(data_dir: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{data_dir / 'selfmemory.db'}", connections=1)
    yield database
    database.close()


@pytest.fixture
def project_id(run: Run, stored: Database) -> str:
    run("create-user", "--email", "ann@example.com")
    with stored.read() as session:
        return session.exec(select(Project)).one().id


def lines(*contents: str) -> bytes:
    memories = [
        {
            "content": content,
            "metadata": {"tags": "tea, Großes"},
            "created_at": "2026-01-02T03:04:05.678901Z",
            "updated_at": "2026-01-02T03:04:05.678901Z",
        }
        for content in contents
    ]
    return "".join(json.dumps(memory, ensure_ascii=False) + "\n" for memory in memories).encode()


@pytest.fixture
def command(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_logging: None
) -> Callable[..., Awaitable[int]]:
    """Return a function that runs a command on the database of the server."""
    monkeypatch.setenv("SELFMEMORY_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("SELFMEMORY_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.chdir(tmp_path)

    async def execute(*arguments: str) -> int:
        return await asyncio.to_thread(main, arguments)

    return execute
