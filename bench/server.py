"""A real server in its own process, and a caller with little overhead."""

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
    """One connection with an API key. Not thread-safe."""

    def __init__(self, address: tuple[str, int], key: str) -> None:
        self._connection = http.client.HTTPConnection(*address, timeout=600)
        self._headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",  # what MCP asks of its clients
        }
        self.use(key)

    def use(self, key: str) -> None:
        """Send another key from now on."""
        self._headers["Authorization"] = f"Bearer {key}"

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
        self.process = process
        self.address = address
        self.environment = environment

    @property
    def folder(self) -> Path:
        return Path(self.environment["SELFMEMORY_DATA_DIR"])

    def key(self, project: str, email: str = "bench@example.com") -> str:
        return create_key(self.environment, project, email)

    def caller(self, key: str) -> Caller:
        return Caller(self.address, key)


def create_key(environment: dict[str, str], project: str, email: str = "bench@example.com") -> str:
    """Create an API key for the project, and the project if it does not exist. The server need not run."""
    command = [sys.executable, "-m", "server", "create-key", "--email", email, "--project", project]
    completed = subprocess.run(command, env=environment, cwd=ROOT, check=True, capture_output=True, text=True)
    return completed.stdout.strip()


@contextlib.contextmanager
def started(**settings: str) -> Iterator[Server]:
    """Run a server on a free loopback port with a temporary data directory."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, launched(environment_of(folder, **settings)) as server:
        yield server


def environment_of(folder: str, **settings: str) -> dict[str, str]:
    """Return an environment with the data in `folder` and without the caller's SELFMEMORY_ settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SELFMEMORY_")}
    chosen = {"RATE_LIMIT_ENABLED": "false", "DATA_DIR": folder} | settings
    return inherited | {f"SELFMEMORY_{name}": value for name, value in chosen.items()}


@contextlib.contextmanager
def launched(environment: dict[str, str], folder: Path = ROOT) -> Iterator[Server]:
    """Run a server on a free loopback port and stop it at the end."""
    command = [sys.executable, "-m", "server", "--port", "0"]
    with subprocess.Popen(command, env=environment, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
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
