"""A real server in a process of its own for measuring, and a caller that costs little."""

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LISTENING = re.compile(r"listening address=http://([\d.]+):(\d+)")


class Caller:
    """One connection with one key; not for several threads."""

    def __init__(self, address: tuple[str, int], key: str) -> None:
        self._connection = http.client.HTTPConnection(*address, timeout=600)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def post(self, path: str, body: object) -> Any:
        return self._ask("POST", path, json.dumps(body).encode())

    def get(self, path: str) -> Any:
        return self._ask("GET", path)

    def delete(self, path: str) -> Any:
        return self._ask("DELETE", path)

    def _ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        self._connection.request(method, path, body, self._headers)
        response = self._connection.getresponse()
        answer = json.loads(response.read())
        if response.status != 200:
            raise SystemExit(f"{path} answered {response.status}: {answer}")
        return answer


class Server:
    def __init__(self, process: subprocess.Popen[str], address: tuple[str, int], environment: dict[str, str]) -> None:
        self.process, self.address, self.environment = process, address, environment

    @property
    def folder(self) -> Path:
        return Path(self.environment["SELFMEMORY_DATA_DIR"])

    def key(self, project: str) -> str:
        """A key to a project, which is made when it is missing."""
        command = [sys.executable, "-m", "server", "create-key", "--email", "bench@example.com", "--project", project]
        made = subprocess.run(command, env=self.environment, cwd=ROOT, check=True, capture_output=True, text=True)
        return made.stdout.strip()

    def caller(self, key: str) -> Caller:
        return Caller(self.address, key)


@contextlib.contextmanager
def started(**settings: str) -> Iterator[Server]:
    """On a free loopback port, with data of its own that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, launched(environment_of(folder, **settings)) as server:
        yield server


def environment_of(folder: str, **settings: str) -> dict[str, str]:
    """For a server with its data in this folder, and nothing of what is set for another."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SELFMEMORY_")}
    given = {"RATE_LIMIT_ENABLED": "false", "DATA_DIR": folder} | settings
    return own | {f"SELFMEMORY_{name}": value for name, value in given.items()}


@contextlib.contextmanager
def launched(environment: dict[str, str]) -> Iterator[Server]:
    """On a free loopback port; stopped at the end, unless it was killed before."""
    command = [sys.executable, "-m", "server", "--port", "0"]
    with subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = next((match for line in process.stderr if (match := LISTENING.search(line))), None)
        if found is None:
            raise SystemExit("the server did not start")
        reader = threading.Thread(target=list, args=[process.stderr])
        reader.start()
        try:
            yield Server(process, (found[1], int(found[2])), environment)
        finally:
            process.terminate()
            process.wait()
            reader.join()
