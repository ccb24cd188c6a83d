"""A command that is interrupted, or cannot write its result, ends with an exit code and at most one line."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.__main__ import main
from tests.support.server_process import environment, run


@contextlib.contextmanager
def ctrl_c_enabled() -> Iterator[None]:
    """Handle SIGINT, which a background job may ignore; child processes inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_result_that_cannot_be_written_is_reported_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "server", "create-key", "--email", "ann@example.com"]
    with Path(os.devnull).open("rb") as unwritable:
        completed = subprocess.run(
            command, env=environment(tmp_path), cwd=tmp_path, stdout=unwritable, stderr=subprocess.PIPE, check=False
        )
    assert completed.returncode == 1
    created, problem = completed.stderr.decode().splitlines()
    assert created.startswith("Created the database ")
    assert problem == "selfmemory: [Errno 9] Bad file descriptor"


def test_ctrl_c_ends_an_import_without_a_traceback(tmp_path: Path) -> None:
    assert run(tmp_path, "create-user", "--email", "ann@example.com").returncode == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "selfmemory.db")) as database:
        ((project_id,),) = database.execute("SELECT id FROM projects")
    command = [sys.executable, "-m", "server", "import", "--project", project_id]
    with (
        ctrl_c_enabled(),
        subprocess.Popen(
            command, env=environment(tmp_path), cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b" " * (1 << 20))  # more than a pipe holds: the command reads it, and waits for more
        process.send_signal(signal.SIGINT)
        output = process.stderr.read()
        assert process.wait() == 130
    assert b"Traceback" not in output


def test_ctrl_c_while_a_command_is_imported_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("server.commands.running.run", interrupt)
    assert main(("doctor",)) == 130
    assert capsys.readouterr() == ("", "selfmemory: stopped before it was finished.\n")
