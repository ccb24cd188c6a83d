"""Compares this server with other memories: the same texts, the same model, one run, in turns.

python -m bench.peers [--sizes 1000,10000] [--rounds 5] [--folder DIR] [--only NAME,…] [--json FILE]

The others are installed into DIR, once. All run at the same time and are asked in turns, so that other load affects all
of them equally. mem0ai runs without its language model (`infer=False`), with Chroma. `script` is sentence-transformers
and Chroma without anything around them. server-memory has no vectors: it looks for a word.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.latency import question, sentence
from bench.peers.candidates import MAKERS, Candidate, candidates
from bench.sizes import disk_mb, resident_mb
from bench.timing import p50_and_p95

CLIENTS = (1, 16)
CALLS = {1: 10, 16: 48}
"""How many calls a round has, by the number of clients."""

OPERATIONS = ("search", "add", "delete")
Row = dict[str, Any]


class Run:
    """One candidate with what was measured of it: `times` has milliseconds by operation and number of clients."""

    def __init__(self, candidate: Candidate) -> None:
        self.candidate = candidate
        self.has_failed = False
        self.forget()

    def forget(self) -> None:
        self.times: dict[tuple[str, int], list[float]] = {(name, count): [] for name in OPERATIONS for count in CLIENTS}

    def attempt(self, do: Callable[..., Any], *arguments: object) -> Any:
        """Do it unless something failed before, and print why it fails."""
        if self.has_failed:
            return None
        try:
            return do(*arguments)
        except Exception as error:  # noqa: BLE001 - the others go on
            self.has_failed = True
            print(f"{self.candidate.name} is left out from here on: {error!r}", flush=True)
            return None

    def round(self, clients: int, texts: list[str], questions: list[str]) -> None:
        timed = self.candidate.timed
        self.times["search", clients] += timed("search", questions, clients).milliseconds
        added = timed("add", texts, clients)
        self.times["add", clients] += added.milliseconds
        self.times["delete", clients] += timed("delete", added.results, clients).milliseconds

    def row(self, size: int) -> Row:
        """Return p50 and p95 of the times, and the sizes, after a restart of the candidate."""
        row: Row = {"name": self.candidate.name, "way": self.candidate.way, "memories": size}
        row["lost"] = size - self.candidate.count()
        row["memory_mb"] = sum(resident_mb(self.candidate.pid()))
        self.candidate.stop()
        began = time.perf_counter()
        self.candidate.start()
        self.candidate.timed("search", [question()], 1)
        row["start_s"] = time.perf_counter() - began
        row["disk_mb"] = disk_mb(self.candidate.folder)
        for (name, clients), times in self.times.items():
            row[f"{name}_{clients}_ms"] = p50_and_p95(times)
        return row


def measure(runs: list[Run], size: int, stored: int, rounds: int) -> list[Row]:
    texts = [sentence(18) for _ in range(size - stored)]
    for run in runs:
        began = time.perf_counter()
        run.attempt(run.candidate.fill, texts)
        print(f"{run.candidate.name}: {size:,} memories after {time.perf_counter() - began:.0f} s", flush=True)
    for number in range(rounds + 1):
        for clients in CLIENTS:
            texts = [sentence(18) for _ in range(CALLS[clients])]
            questions = [question() for _ in range(CALLS[clients])]
            for run in runs:
                run.attempt(run.round, clients, texts, questions)
        if number == 0:  # it warms up
            for run in runs:
                run.forget()
    return [row for run in runs if (row := run.attempt(run.row, size))]


def table(rows: list[Row]) -> str:
    """Return the rows as Markdown. Times are p50 / p95 in milliseconds."""
    columns = [f"{name}, {clients}" for clients in CLIENTS for name in OPERATIONS]
    lines = [f"| | {' | '.join(columns)} | start, s | memory, MB | disk, MB |", "|---" * (len(columns) + 4) + "|"]
    for row in rows:
        times = [row[f"{name}_{clients}_ms"] for clients in CLIENTS for name in OPERATIONS]
        cells = [f"{p50:.1f} / {p95:.1f}" for p50, p95 in times]
        cells += [f"{row['start_s']:.1f}", f"{row['memory_mb']:.0f}", f"{row['disk_mb']:.1f}"]
        lost = f" ({abs(row['lost']):,} {'lost' if row['lost'] > 0 else 'not deleted'})" if row["lost"] else ""
        lines.append(f"| {row['name']}{lost} | {' | '.join(cells)} |")
    return "\n".join(lines)


def compare(chosen: list[Candidate], sizes: list[int], rounds: int) -> list[Row]:
    runs, rows, stored = [Run(candidate) for candidate in chosen], list[Row](), 0
    for run in runs:
        print(f"{run.candidate.name}: {run.candidate.way}", flush=True)
        run.attempt(run.candidate.start)
    try:
        for size in sizes:
            measured = measure(runs, size, stored, rounds)
            print(f"\n{size:,} memories, p50 / p95 in ms with 1 and with 16 clients\n\n{table(measured)}\n", flush=True)
            rows, stored = rows + measured, size
    finally:
        for run in runs:
            run.attempt(run.candidate.stop)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,10000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "selfmemory-peers")
    parser.add_argument("--only", help=f"some of {', '.join(MAKERS)}")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else list(MAKERS)
    with tempfile.TemporaryDirectory(prefix="peers-") as data:
        chosen = list(candidates(names, options.folder, Path(data)))
        rows = compare(chosen, [int(size) for size in options.sizes.split(",")], options.rounds)
    text = json.dumps(rows, indent=2)
    if options.json:
        options.json.write_text(text + "\n", "utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
