"""Measures how much one tenant slows down while another tenant's key floods the server with additions.

python -m bench.fairness [--seconds 20] [--database-url postgresql://…/an_empty_one] [--limits]
    [--clients 24 200] [--addition-characters 2000] [--batch-memories 1000] [--import-megabytes 300]

The other tenant signs in, searches and adds, one after the other: first alone, then under each flood. The aim is a p95
of at most five times its p95 alone. Rate limits are off unless `--limits` is given, so that only the shares protect.
With `--import-megabytes`, the only flood is a command that imports an export of ChatGPT of that size, to its end.
"""

import argparse
import http.client
import json
import secrets
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.latency import question, sentence
from bench.moving import write_export
from bench.server import ROOT, Server, started
from bench.timing import p50_and_p95

AIM = 5.0
ALONE = "alone (p50, p95, ratio of p95 to p95 alone)"
BATCH_CHARACTERS = 9_700_000
"""With its JSON, a batch with this much text is just below the limit of 10 MB."""

RETRY_SECONDS = 0.2
"""The pause of the flood after a refusal. It ignores Retry-After."""

PASSWORD = secrets.token_urlsafe(12)


@dataclass(frozen=True)
class Flood:
    name: str
    path: str
    body: bytes
    clients: int


def floods(clients_at_once: Sequence[int], characters: int, memories: int) -> Iterator[Flood]:
    addition = json.dumps(_memory(characters)).encode()
    batch = json.dumps({"memories": [_memory(BATCH_CHARACTERS // memories) for _ in range(memories)]}).encode()
    for clients in clients_at_once:
        yield Flood(f"{clients} additions at once", "/api/memories", addition, clients)
    for clients in clients_at_once:
        name = f"{clients} batches of {len(batch) / 1e6:.1f} MB at once"
        yield Flood(name, "/api/memories/batch", batch, clients)


def _memory(characters: int) -> dict[str, object]:
    text = ""
    while len(text) < characters:
        text += sentence(12) + ". "
    return {"messages": [{"role": "user", "content": text[:characters].strip()}]}


class Neighbor:
    """The other tenant: one connection for its key, a new one for each sign-in."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._email = f"{secrets.token_hex(4)}@example.com"  # the database may have served another flood before
        create_user(server, self._email)
        self._caller = server.caller(server.key("Neighbor", self._email))

    def search(self) -> None:
        self._caller.post("/api/memories/search", {"query": question()})

    def add(self) -> None:
        self._caller.post("/api/memories", {"messages": [{"role": "user", "content": sentence(18)}]})

    def sign_in(self) -> None:
        connection = http.client.HTTPConnection(*self._server.address, timeout=60)
        body = urllib.parse.urlencode({"email": self._email, "password": PASSWORD})
        connection.request("POST", "/sign-in", body, {"Content-Type": "application/x-www-form-urlencoded"})
        status = connection.getresponse().status
        connection.close()
        if status != 303:
            raise SystemExit(f"/sign-in answered {status}")

    def times(self, seconds: float) -> dict[str, list[float]]:
        """Return the milliseconds of each kind of request."""
        kinds: dict[str, Callable[[], None]] = {"sign-in": self.sign_in, "search": self.search, "add": self.add}
        spent: dict[str, list[float]] = {name: [] for name in kinds}
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for name, run in kinds.items():
                began = time.perf_counter()
                run()
                spent[name].append((time.perf_counter() - began) * 1000)
        return spent


@contextmanager
def flooding(server: Server, key: str, flood: Flood) -> Iterator[dict[int, int]]:
    """Keep `flood.clients` requests open until the block ends. Yields how often each status was answered."""
    stopped = threading.Event()
    statuses: dict[int, int] = {}
    connections: set[http.client.HTTPConnection] = set()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def send() -> None:
        while not stopped.is_set():
            connection = http.client.HTTPConnection(*server.address, timeout=600)
            connections.add(connection)
            with suppress(OSError, http.client.HTTPException):
                connection.request("POST", flood.path, flood.body, headers)
                status = connection.getresponse().status
                statuses[status] = statuses.get(status, 0) + 1
                if status != 200:
                    stopped.wait(RETRY_SECONDS)
            connection.close()
            connections.discard(connection)

    threads = [threading.Thread(target=send, daemon=True) for _ in range(flood.clients)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(2)
        yield statuses
    finally:
        stopped.set()
        for connection in list(connections):
            if connection.sock is not None:
                with suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(30)


@contextmanager
def importing(server: Server, megabytes: int) -> Iterator[subprocess.Popen[bytes]]:
    """Import a large export into the flood's project with the command, while the server runs, until the block ends."""
    project_id = str(server.caller(server.key("Flood")).get("/api/projects")["projects"][0]["id"])
    path = server.folder / "conversations.json"
    write_export(path, megabytes * 1_000_000)
    command = [sys.executable, "-m", "server", "import", "--project", project_id, str(path)]
    with subprocess.Popen(command, env=server.environment, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        try:
            time.sleep(2)
            yield process
        finally:
            process.terminate()


def measure_import(server: Server, megabytes: int, seconds: float) -> bool:
    """Print what an import does to the neighbor until it ends, and both peaks of memory. Return whether the goal is
    met."""
    neighbor = Neighbor(server)
    neighbor.times(1)
    idle = neighbor.times(seconds)
    report(ALONE, idle, idle)
    spent: dict[str, list[float]] = {kind: [] for kind in idle}
    peaks = [0, 0]
    with importing(server, megabytes) as process:
        while process.poll() is None:
            for kind, times in neighbor.times(1).items():
                spent[kind] += times
            pids = (process.pid, server.process.pid)
            peaks = [max(peak, peak_megabytes(pid)) for peak, pid in zip(peaks, pids, strict=True)]
    print(f"  the import ended with {process.returncode}; peak memory of it and of the server: {peaks} MB")
    return report(f"import of {megabytes} MB", spent, idle) and process.returncode == 0


def peak_megabytes(pid: int) -> int:
    """Return the most memory that the process has had, by proc(5), and 0 after its end."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) // 1000 for line in lines if line.startswith("VmHWM")), 0)


def report(name: str, spent: dict[str, list[float]], idle: dict[str, list[float]]) -> bool:
    """Print a line for each kind of request. Return whether all are within the aim."""
    print(name)
    within = True
    for kind, times in spent.items():
        (p50, p95), (_, alone) = p50_and_p95(times), p50_and_p95(idle[kind])
        ratio = p95 / alone
        within = within and ratio <= AIM
        print(f"  {kind:<10}{p50:>9.1f}{p95:>9.1f} ms{ratio:>7.1f} x   ({len(times)})", flush=True)
    return within


def create_user(server: Server, email: str) -> None:
    command = [sys.executable, "-m", "server", "create-user", "--email", email, "--password-stdin"]
    subprocess.run(
        command, env=server.environment, cwd=ROOT, check=True, input=PASSWORD, text=True, stdout=subprocess.DEVNULL
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20, help="how long each flood lasts, in seconds")
    parser.add_argument("--database-url", help="an empty Postgres database instead of SQLite")
    parser.add_argument("--limits", action="store_true", help="leave the rate limits on")
    parser.add_argument("--clients", type=int, nargs="+", default=[24, 200], help="simultaneous requests of the flood")
    parser.add_argument("--addition-characters", type=int, default=2_000)
    parser.add_argument("--batch-memories", type=int, default=1_000, help="memories in a batch of 10 MB")
    parser.add_argument("--import-megabytes", type=int, help="only measure an import of this size")
    given = parser.parse_args()
    settings = {"RATE_LIMIT_ENABLED": "true", "RATE_LIMIT_SIGN_IN": "100000/minute",
                "RATE_LIMIT_REQUEST": "1000000/minute"} if given.limits else {}  # fmt: skip
    if given.database_url:
        settings["DATABASE_URL"] = given.database_url
    if given.import_megabytes:
        with started(**settings) as server:
            return conclude(measure_import(server, given.import_megabytes, given.seconds))
    within = True
    # a new process for each flood, so that none leaves work behind for the next
    for flood in floods(given.clients, given.addition_characters, given.batch_memories):
        with started(**settings) as server:
            neighbor = Neighbor(server)
            neighbor.times(1)
            idle = neighbor.times(given.seconds / 2)
            report(ALONE, idle, idle)
            with flooding(server, server.key("Flood"), flood) as statuses:
                spent = neighbor.times(given.seconds)
            within = report(f"{flood.name}: {dict(sorted(statuses.items()))}", spent, idle) and within
    return conclude(within)


def conclude(within: bool) -> int:
    print("within the aim" if within else f"NOT within the aim of {AIM:.0f} x")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
