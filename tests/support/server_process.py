"""`python -m server` as a process of its own, on a free port, without any way out to the network."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
LISTENING = re.compile(r" listening address=(\S+)")

# Put before everything else in the process: whatever asks for another machine is written down and refused.
NO_WAY_OUT = """
import os, socket

def guarded(name, place):
    real = getattr(socket.socket, name)
    def call(self, *arguments):
        address = arguments[place]
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            with open(os.environ["ATTEMPTS"], "a") as file:
                file.write(f"{address}\\n")
            raise OSError("there is no way out")
        return real(self, *arguments)
    setattr(socket.socket, name, call)

guarded("connect", 0)
guarded("connect_ex", 0)
guarded("sendto", -1)
"""


@dataclass
class ServerProcess:
    """Started, listening at `url`. `log` is what it has said so far."""

    process: subprocess.Popen[str]
    url: str
    attempts: Path
    log: list[str] = field(default_factory=list)

    def stop(self) -> int:
        """Ask it to end, as a process manager does; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """Ours without its SELFMEMORY_ names; data in `folder`, and a home of its own there."""
    for name in ("guard", "home"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "guard" / "sitecustomize.py").write_text(NO_WAY_OUT)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SELFMEMORY_")}
    paths = {"PYTHONPATH": os.pathsep.join([str(folder / "guard"), str(ROOT)]), "ATTEMPTS": str(folder / "attempts")}
    given = {f"SELFMEMORY_{name}": value for name, value in settings.items()}
    own = {"SELFMEMORY_DATA_DIR": str(folder / "data"), "HOME": str(folder / "home")}
    return kept | paths | own | given


@contextlib.contextmanager
def started(folder: Path, *arguments: str, **settings: str) -> Iterator[ServerProcess]:
    """Run it until the end of the block, or until it is stopped or killed in it."""
    command = [sys.executable, "-m", "server", "--port", "0", *arguments]
    with subprocess.Popen(
        command, env=environment(folder, **settings), cwd=folder, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        log: list[str] = []
        found = next((match for line in _heard(process.stderr, log) if (match := LISTENING.search(line))), None)
        assert found is not None, "".join(log)
        reader = threading.Thread(target=log.extend, args=[process.stderr])
        reader.start()
        try:
            yield ServerProcess(process, found[1], folder / "attempts", log)
        finally:
            process.terminate()
            process.wait()
            reader.join()


def _heard(lines: Iterator[str], log: list[str]) -> Iterator[str]:
    for line in lines:
        log.append(line)
        yield line


def run(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """One command to its end."""
    command = [sys.executable, "-m", "server", *arguments]
    return subprocess.run(
        command, env=environment(folder, **settings), cwd=folder, capture_output=True, text=True, check=False
    )
