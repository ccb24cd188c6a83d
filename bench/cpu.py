"""Compares the CPU time of requests in two checkouts of this repository, measured alternately on one machine.

python -m bench.cpu COMMIT [--sizes 1000,10000,100000] [--seconds 4] [--rounds 5]

COMMIT is checked out into a temporary folder, and both share the installed packages. Each checkout runs its own server
with the same number of random memories. A figure is the CPU time per request of all the server's threads, in
milliseconds. The ratio compares this checkout with the commit; it is the median of the rounds.
"""

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.latency import question, sentence
from bench.server import ROOT, Caller, Server, environment_of, launched
from bench.sizes import cpu_seconds

QUIET_SECONDS = 3
FILL = """
import sys
from bench import latency
url, key, size = sys.argv[1:]
latency.fill(latency.Database(url, connections=2), key, int(size))
"""

Request = Callable[[], object]


class Side:
    """One checkout with its running server."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder = folder
        self.server = server

    def project(self, size: int) -> Caller:
        """Create a project with `size` memories, and wait until the server has nothing left to do for it."""
        key = _python(self, "-m", "server", "create-key", "--email", "bench@example.com", "--project", f"Size {size}")
        _python(self, "-c", FILL, f"sqlite:///{self.server.folder / 'selfmemory.db'}", key, str(size))
        self.server.caller(key).post("/api/memories/search", {"query": question()})
        self._wait_until_quiet()
        return self.server.caller(key)  # the server has closed the first connection by now

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.server.process.pid)

    def _wait_until_quiet(self) -> None:
        used = -1.0
        while self.cpu_seconds() - used > 0.1 * QUIET_SECONDS:
            used = self.cpu_seconds()
            time.sleep(QUIET_SECONDS)


def _python(side: Side, *arguments: str) -> str:
    command = [sys.executable, *arguments]
    run = subprocess.run(command, env=side.server.environment, cwd=side.folder, check=True, stdout=-1, text=True)
    return run.stdout.strip()


def cost(side: Side, request: Request, seconds: float) -> float:
    """Return how many milliseconds of CPU time one request takes."""
    began, count = side.cpu_seconds(), 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        request()
        count += 1
    return (side.cpu_seconds() - began) / count * 1000


def requests_of(caller: Caller) -> dict[str, Request]:
    listed = caller.get("/api/memories?limit=1")["results"][0]["id"]
    return {
        "read one": lambda: caller.get(f"/api/memories/{listed}"),
        "list ten": lambda: caller.get("/api/memories"),
        "search": lambda: caller.post("/api/memories/search", {"query": question(), "limit": 10}),
        "add": lambda: caller.post("/api/memories", {"messages": [{"role": "user", "content": sentence(18)}]}),
    }


def compare(ours: Side, theirs: Side, size: int, seconds: float, rounds: int) -> None:
    callers = [(side, side.project(size)) for side in (ours, theirs)]  # a connection must not wait for the other side
    sides = [(side, requests_of(caller)) for side, caller in callers]
    for name in sides[0][1]:
        pairs = [[cost(side, requests[name], seconds) for side, requests in sides] for _ in range(rounds)]
        mine, other = (statistics.median(values) for values in zip(*pairs, strict=True))
        ratio = statistics.median(mine / other for mine, other in pairs)
        print(f"{name:<10}{size:>9,}{mine:>10.2f}{other:>10.2f}{ratio:>8.2f}", flush=True)


@contextlib.contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        checkout = Path(folder) / "checkout"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", checkout, commit], cwd=ROOT, check=True)
        try:
            yield checkout
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", checkout], cwd=ROOT, check=True)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Side]:
    with tempfile.TemporaryDirectory(prefix="bench-") as data:
        environment = environment_of(data) | {"PYTHONPATH": str(folder)}
        with launched(environment, folder) as server:
            yield Side(folder, server)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit")
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with checked_out(options.commit) as folder, serving(ROOT) as ours, serving(folder) as theirs:
        print(f"{'request':<10}{'memories':>9}{'here':>10}{options.commit[:9]:>10}{'ratio':>8}", flush=True)
        for size in map(int, options.sizes.split(",")):
            compare(ours, theirs, size, options.seconds, options.rounds)


if __name__ == "__main__":
    main()
