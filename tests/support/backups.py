"""Runs `backup` and `restore` on the database of a test."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from server.__main__ import main
from server.settings import Settings
from tests.support.commands import Ran

Command = Callable[..., Ran]


@pytest.fixture
def on_database(
    data_dir: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
    own_logging: None,
) -> Command:
    """`on_database("backup", file, given=standard input)` runs in the test's data folder, on its database."""
    data_dir.mkdir(exist_ok=True)
    monkeypatch.setenv("SELFMEMORY_DATABASE_URL", settings.database_url.get_secret_value())

    def run(*arguments: str | Path, given: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), "utf-8"))
        code = main([str(argument) for argument in arguments])
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return Ran(code, out.decode("latin-1"), err.decode())

    return run
