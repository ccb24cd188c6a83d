"""Commands whose caller has closed their standard streams, as some service managers do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlmodel import select

from server.models import User
from server.storage.database import Database


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_a_command_whose_streams_are_closed_works(stored: Database, data_dir: Path, closed: str) -> None:
    arguments = f"create-user --email ann@example.com {closed}"
    environment = {**os.environ, "SELFMEMORY_DATA_DIR": str(data_dir)}
    command = ["bash", "-c", f"exec {sys.executable} -m server {arguments}"]
    completed = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (completed.returncode, "Traceback" in completed.stderr) == (0, False)
    with stored.read() as session:
        assert session.exec(select(User.email)).all() == ["ann@example.com"]
