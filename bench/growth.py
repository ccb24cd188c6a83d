"""Measures searches and additions while one project grows, and while the number of projects grows.

python -m bench.growth [--sizes 1000,10000,100000,1000000] [--projects 10,100,1000] [--each 1000] [--seconds 10]
                       [--json FILE] [--png FILE]

Everything is asked in turns with a project of 1,000 memories in the same server, so the ratio is meaningful when other
programs use the machine too. With several projects, each call is to another one, chosen at random. The stored memories
have random text and random vectors. `--png` needs matplotlib.
"""

import argparse
import importlib
import json
import random
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlmodel import Session, select

from bench.latency import adding, fill, in_turn, question, searching, sentence, wait_for_collection
from bench.server import Caller, Server, started
from bench.sizes import disk_mb, resident_mb
from server.database import Database
from server.domain.people import users
from server.domain.teams import api_keys
from server.hashing import token_hash
from server.models import ApiKey, Organization, Project, User

BASE = 1_000
SEARCH_AIM, PROJECTS_AIM = 2.5, 1.5
Row = dict[str, Any]
Asking = Callable[[Caller], Callable[[str], object]]


class Growth:
    """A server, its database, and a project of `BASE` memories to compare with."""

    def __init__(self, server: Server, seconds: float, rows: list[Row]) -> None:
        self._server, self._seconds, self._rows = server, seconds, rows
        self._key = server.key("Base")
        self._database = Database(f"sqlite:///{server.folder / 'selfmemory.db'}", connections=2)
        fill(self._database, self._key, BASE)
        self._base = server.caller(self._key)
        self._random = random.Random(5)

    def one_project(self, sizes: Sequence[int]) -> None:
        (key,), stored = self._new_keys(1, "Large"), 0
        for size in sizes:
            project_id = fill(self._database, key, size - stored)
            caller = self._server.caller(key)
            searching(caller)(question())
            wait_for_collection(self._database, project_id, size)
            self._measure(size, 1, [caller])
            stored = size

    def many_projects(self, counts: Sequence[int], each: int) -> None:
        keys: list[str] = []
        for count in counts:
            new = self._new_keys(count - len(keys), f"Project {count}")
            for key in new:
                fill(self._database, key, each)
            keys += new
            self._measure(count * each, count, [self._server.caller(key) for key in keys])

    def close(self) -> None:
        self._database.close()

    def _new_keys(self, count: int, name: str) -> list[str]:
        """Create projects, and return a key for each."""
        keys = []
        for number in range(count):
            with self._database.write() as session:
                user, place = _owner(session, self._key)
                project = users.add_project(session, place, user, f"{name} {number}")
                keys.append(api_keys.issue(session, project, user.id, "Growth", ["read", "write"], None)[1])
        return keys

    def _measure(self, memories: int, projects: int, callers: Sequence[Caller]) -> None:
        row: Row = {"memories": memories, "projects": projects}
        for name, asking, texts in (("search", searching, question), ("add", adding, _text)):
            base, ours = self._in_turn(asking, texts, callers)
            p50, p95 = statistics.median(ours), statistics.quantiles(ours, n=20)[-1]
            row |= {f"{name}_p50_ms": p50, f"{name}_p95_ms": p95, f"{name}_ratio": p50 / statistics.median(base)}
        row |= {"disk_mb": disk_mb(self._server.folder), "memory_mb": sum(resident_mb(self._server.process.pid))}
        self._rows.append(row)
        print(line(row), flush=True)

    def _in_turn(
        self, asking: Asking, texts: Callable[[], str], callers: Sequence[Caller]
    ) -> tuple[list[float], list[float]]:
        def ask_any(text: str) -> object:
            return asking(self._random.choice(callers))(text)

        return in_turn(asking(self._base), ask_any, texts, self._seconds)


def _text() -> str:
    return sentence(18)


def _owner(session: Session, key: str) -> tuple[User, Organization]:
    """Return the key's user and organization."""
    found = session.exec(select(ApiKey).where(ApiKey.token_hash == token_hash(key))).one()
    project = session.get_one(Project, found.project_id)
    return session.get_one(User, found.created_by), session.get_one(Organization, project.organization_id)


COLUMNS = (
    "memories",
    "projects",
    "search p50 / p95, ms",
    f"to {BASE:,}",
    "add p50 / p95, ms",
    f"to {BASE:,}",
    "disk, MB",
    "memory, MB",
)
TITLE = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|"


def line(row: Row) -> str:
    return (
        f"| {row['memories']:,} | {row['projects']:,} "
        f"| {row['search_p50_ms']:.1f} / {row['search_p95_ms']:.1f} | {row['search_ratio']:.2f} "
        f"| {row['add_p50_ms']:.1f} / {row['add_p95_ms']:.1f} | {row['add_ratio']:.2f} "
        f"| {row['disk_mb']:,.0f} | {row['memory_mb']:,.0f} |"
    )


def plot(rows: Sequence[Row], file: Path) -> None:
    """Draw the ratios over the number of memories."""
    pyplot = importlib.import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.2), sharey=True)
    one = [row for row in rows if row["projects"] == 1]
    many = [row for row in rows if row["projects"] > 1]
    for axis, chosen, column, title in (
        (axes[0], one, "memories", "memories in one project"),
        (axes[1], many, "projects", "projects, each of 1,000 memories"),
    ):
        for name in ("search", "add"):
            axis.plot([row[column] for row in chosen], [row[f"{name}_ratio"] for row in chosen], marker="o", label=name)
        axis.set(xscale="log", xlabel=title)
        axis.axhline(
            SEARCH_AIM if column == "memories" else PROJECTS_AIM, color="gray", linestyle=":", label="aim for search"
        )
        axis.grid(alpha=0.3)
    axes[0].set(ylabel=f"p50, to that of {BASE:,} memories", ylim=(0, None))
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(file, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,10000,100000,1000000")
    parser.add_argument("--projects", default="10,100,1000")
    parser.add_argument("--each", type=int, default=1_000, help="memories of each of the projects")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--png", type=Path)
    options = parser.parse_args()
    if options.png:
        importlib.import_module("matplotlib")  # rather now than after an hour
    rows: list[Row] = []
    try:
        with started() as server:
            growth = Growth(server, options.seconds, rows)
            print(TITLE, flush=True)
            growth.one_project([int(size) for size in options.sizes.split(",") if size])
            growth.many_projects([int(count) for count in options.projects.split(",") if count], options.each)
            growth.close()
    finally:  # what was measured so far is worth keeping
        if options.json:
            options.json.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")
        if options.png:
            plot(rows, options.png)


if __name__ == "__main__":
    main()
