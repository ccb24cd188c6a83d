"""Compares a server that has one worker with a server that has several, with the callers on the same machine.

python -m bench.workers [--postgres] [--workers 2] [--callers 16] [--rounds 6] [--seconds 2] [--size 1000]
                        [--json FILE]

The servers take turns of a few seconds, so that other load affects all of them equally: only the ratio is meaningful.
With `--postgres`, each has a database in a Postgres server that is started for the occasion. Its CPU time is not
counted.
"""

import argparse
import contextlib
import itertools
import json
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from bench.latency import fill, question, sentence
from bench.server import Server, started
from bench.sizes import cpu_seconds
from server.storage.database import Database
from tests.support.postgres import Databases, running_postgres

Ask = Callable[["RawCaller"], object]


class Measured(NamedTuple):
    """A server with its callers' connections."""

    server: Server
    callers: list["RawCaller"]


class RawCaller:
    """One connection that does as little work as possible, because on few cores the callers slow down the servers."""

    def __init__(self, address: tuple[str, int], key: str) -> None:
        self._socket = socket.create_connection(address)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._key = key

    def ask(self, method: str, path: str, body: object = None) -> bytes:
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self._key}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        self._socket.sendall(head.encode() + content)
        answer = self._socket.recv(1 << 16)
        while b"\r\n\r\n" not in answer:
            answer += self._socket.recv(1 << 16)
        headers, _, text = answer.partition(b"\r\n\r\n")
        if b" 200 " not in headers[:16]:
            raise SystemExit(f"{path} answered {headers[:16]!r}: {text!r}")
        left = int(headers.lower().partition(b"content-length:")[2].split(b"\r\n")[0]) - len(text)
        while left > 0:
            part = self._socket.recv(1 << 16)
            text += part
            left -= len(part)
        return text


def kinds(memory_id: str) -> dict[str, Ask]:
    def add(caller: RawCaller) -> object:
        return caller.ask("POST", "/api/memories", {"messages": [{"role": "user", "content": sentence(18)}]})

    def search(caller: RawCaller) -> object:
        return caller.ask("POST", "/api/memories/search", {"query": question(), "limit": 10})

    turns = itertools.cycle([search, search, search, add])
    return {
        "read one": lambda caller: caller.ask("GET", f"/api/memories/{memory_id}"),
        "search": search,
        "add": add,
        "3 searches, 1 add": lambda caller: next(turns)(caller),
    }


def run_round(measured: Measured, ask: Ask, seconds: float) -> tuple[float, float]:
    """Let all callers send requests for some seconds. Return their rate, and the CPU time of each in milliseconds."""
    pid = measured.server.process.pid
    before, began = cpu_seconds(pid), time.perf_counter()

    def work(caller: RawCaller) -> int:
        count = 0
        while time.perf_counter() < began + seconds:
            ask(caller)
            count += 1
        return count

    with ThreadPoolExecutor(len(measured.callers)) as threads:
        count = sum(threads.map(work, measured.callers))
    return count / (time.perf_counter() - began), (cpu_seconds(pid) - before) * 1000 / count


@contextlib.contextmanager
def serving(workers: int, callers: int, size: int, url: str | None) -> Iterator[Measured]:
    """Run a server over the database at `url`, which is empty. None means SQLite."""
    chosen = {"DATABASE_URL": url} if url else {}
    with started(WORKERS=str(workers), **chosen) as server:
        key = server.key("Workers")
        database = Database(url or f"sqlite:///{server.folder / 'selfmemory.db'}", connections=2)
        fill(database, key, size)
        database.close()
        yield Measured(server, [RawCaller(server.address, key) for _ in range(callers)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--callers", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--size", type=int, default=1_000)
    parser.add_argument("--postgres", action="store_true", help="Postgres instead of SQLite")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    print(f"{'':<20}{'1 worker':>12}{f'{options.workers} workers':>12}{'ratio':>8}{'CPU a request':>22}{'ratio':>8}")
    with contextlib.ExitStack() as opened:
        databases = Databases(opened.enter_context(running_postgres())) if options.postgres else None
        servers = [
            opened.enter_context(
                serving(workers, options.callers, options.size, databases.make() if databases else None)
            )
            for workers in (1, options.workers)
        ]
        rows = [measure(name, servers, options.rounds, options.seconds) for name in kinds("")]
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")


def measure(name: str, servers: list[Measured], rounds: int, seconds: float) -> dict[str, object]:
    sides: list[tuple[Measured, Ask]] = []
    for measured in servers:
        listed = json.loads(measured.callers[0].ask("GET", "/api/memories?limit=1"))
        sides.append((measured, kinds(listed["results"][0]["id"])[name]))
        run_round(*sides[-1], 0.5)  # it warms up
    turns = [[run_round(*side, seconds) for side in sides] for _ in range(rounds)]
    medians = [map(statistics.median, zip(*own, strict=True)) for own in zip(*turns, strict=True)]
    (one, cpu_one), (several, cpu_several) = medians
    print(
        f"{name:<20}{one:>10.0f}/s{several:>10.0f}/s{several / one:>8.2f}"
        f"{cpu_one:>10.2f} ms{cpu_several:>6.2f} ms{cpu_several / cpu_one:>8.2f}",
        flush=True,
    )
    return {"request": name, "per_second": [one, several], "cpu_ms": [cpu_one, cpu_several]}


if __name__ == "__main__":
    main()
