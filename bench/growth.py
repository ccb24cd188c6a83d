"""Measures searches and additions while one project grows, and while the number of projects grows.

python -m bench.growth [--sizes 1000,10000,100000,1000000] [--projects 10,100,1000] [--each 1000] [--seconds 10]
                       [--folder DIR] [--json FILE] [--plot FILE.png]

Each measurement asks a server in turns about the project that grew and about one of 1,000 memories, so the ratio is
meaningful when other programs use the machine too. With several projects, each call is to another one, chosen at
random. Memories are filled in while no server runs; they have random text, and vectors as of texts. A million takes 20
minutes of processor time, and 8 GB in DIR. `--plot` needs matplotlib, which `make install-dev` installs.
"""

import argparse
import importlib
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlmodel import Session, select

from bench.filling import TextLikeVectors, build_collection
from bench.latency import adding, fill, question, searching, sentence, wait_for_collection
from bench.server import Caller, Server, create_key, environment_of, launched
from bench.sizes import disk_mb, resident_mb
from bench.timing import in_turn, p50_and_p95
from server.domain.people import users
from server.domain.teams import api_keys
from server.domain.teams.api_keys import NewKey
from server.hashing import token_hash
from server.index.model import bundled
from server.index.model.onnx_model import OnnxModel
from server.models import ApiKey, Organization, Project, User
from server.settings import Settings
from server.storage.database import Database

BASE = 1_000
SEARCH_AIM, PROJECTS_AIM = 2.5, 1.5
Row = dict[str, Any]
Asking = Callable[[Caller], Callable[[str], object]]


class Growth:
    """A folder with a project of `BASE` memories to compare with. A server runs there during each measurement."""

    def __init__(self, folder: Path, seconds: float, rows: list[Row]) -> None:
        self._folder, self._seconds, self._rows = folder, seconds, rows
        self._environment = environment_of(str(folder))
        self._key = create_key(self._environment, "Base")
        self._database = Database(f"sqlite:///{folder / 'selfmemory.db'}", connections=2)
        self._model = OnnxModel(bundled.exported(folder))
        self._vectors = TextLikeVectors(self._model)
        fill(self._database, self._key, BASE, self._vectors)
        self._random = random.Random(5)

    def one_project(self, size: int) -> None:
        """Measure a new project of this size."""
        before, began = disk_mb(self._folder), time.perf_counter()
        (key,) = self._new_keys(1, f"Size {size}")
        project_id = fill(self._database, key, size, self._vectors)
        stored = time.perf_counter()
        if size > Settings.model_fields["exact_scan_limit"].default:
            build_collection(self._database, self._folder, self._model, project_id)
        took = {"fill_s": stored - began, "index_s": time.perf_counter() - stored}
        with launched(self._environment) as server:
            row = {"memories": size, "projects": 1, "disk_mb": disk_mb(self._folder) - before} | took
            row["first_search_s"] = _seconds(searching(server.caller(key)), question())
            wait_for_collection(self._database, project_id, size)
            self._measure(server, [key], row)

    def many_projects(self, counts: Sequence[int], each: int) -> None:
        """Measure more and more projects of `each` memories."""
        keys: list[str] = []
        for count in counts:
            new = self._new_keys(count - len(keys), f"Project {count}")
            for key in new:
                fill(self._database, key, each, self._vectors)
            keys += new
            with launched(self._environment) as server:
                row = {"memories": count * each, "projects": count, "disk_mb": disk_mb(self._folder)}
                caller = server.caller(self._key)
                for key in keys:  # a server has seen its projects before
                    caller.use(key)
                    searching(caller)(question())
                self._measure(server, keys, row)

    def close(self) -> None:
        self._database.close()

    def _new_keys(self, count: int, name: str) -> list[str]:
        """Create projects, and return a key for each."""
        keys = []
        for number in range(count):
            with self._database.write() as session:
                user, organization = _owner(session, self._key)
                project = users.add_project(session, organization, user, f"{name} {number}")
                keys.append(api_keys.issue(session, project, user.id, NewKey("Growth", ["read", "write"]))[1])
        return keys

    def _measure(self, server: Server, keys: Sequence[str], row: Row) -> None:
        for name, asking, texts in (("search", searching, question), ("add", adding, _text)):
            base, ours = self._in_turn(server, asking, texts, keys)
            p50, p95 = p50_and_p95(ours)
            row |= {f"{name}_p50_ms": p50, f"{name}_p95_ms": p95, f"{name}_ratio": p50 / statistics.median(base)}
        self._rows.append(row | {"memory_mb": sum(resident_mb(server.process.pid))})
        print(line(self._rows[-1]), flush=True)

    def _in_turn(
        self, server: Server, asking: Asking, texts: Callable[[], str], keys: Sequence[str]
    ) -> list[list[float]]:
        caller = server.caller(keys[0])

        def ask_any(text: str) -> object:
            caller.use(self._random.choice(keys))
            return asking(caller)(text)

        return in_turn([asking(server.caller(self._key)), ask_any], texts, self._seconds)


def _seconds(call: Callable[[str], object], text: str) -> float:
    began = time.perf_counter()
    call(text)
    return time.perf_counter() - began


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
    """Draw how many times as long a call takes as in a project of `BASE` memories."""
    pyplot = importlib.import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.4), sharey=True)
    one = [row for row in rows if row["projects"] == 1]
    many = [row for row in rows if row["projects"] > 1]
    for axis, chosen, column, title, aim in (
        (axes[0], one, "memories", "memories in one project", SEARCH_AIM),
        (axes[1], many, "projects", "projects", PROJECTS_AIM),
    ):
        places = [row[column] for row in chosen]
        for name in ("search", "add"):
            axis.plot(places, [row[f"{name}_ratio"] for row in chosen], marker="o", label=name)
        axis.axhline(aim, color="gray", linestyle=":", label="aim for search")
        axis.set(xscale="log", xlabel=title, ylim=(0, None))
        axis.set_xticks(places, [f"{place:,}" for place in places])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0].set_ylabel(f"p50, times that of {BASE:,} memories")
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(file, dpi=100)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",") if number]


def measure(options: argparse.Namespace, rows: list[Row]) -> None:
    """Measure in one folder after the other, so that less disk is needed."""
    print(TITLE, flush=True)
    if sizes := _numbers(options.sizes):
        with tempfile.TemporaryDirectory(prefix="growth-", dir=options.folder) as folder:
            growth = Growth(Path(folder), options.seconds, rows)
            for size in sizes:
                growth.one_project(size)
            growth.close()
    if counts := _numbers(options.projects):
        with tempfile.TemporaryDirectory(prefix="growth-", dir=options.folder) as folder:
            growth = Growth(Path(folder), options.seconds, rows)
            growth.many_projects(counts, options.each)
            growth.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,10000,100000,1000000")
    parser.add_argument("--projects", default="10,100,1000")
    parser.add_argument("--each", type=int, default=BASE, help="memories of each of the projects")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--folder", type=Path, help="where to keep the data during the run")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, help="where to draw the ratios, as PNG")
    options = parser.parse_args()
    if options.plot:
        importlib.import_module("matplotlib")  # fail now, not after an hour
    rows: list[Row] = []
    try:
        measure(options, rows)
    finally:  # what was measured so far is worth keeping
        if options.json:
            options.json.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")
        if options.plot:
            plot(rows, options.plot)


if __name__ == "__main__":
    main()
