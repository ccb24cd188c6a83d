"""After ten kills at random moments, acknowledged memories are found and deleted ones are gone."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlmodel import col

from server.domain.memory.filters import Filters
from server.index.model.embeddings import Embedder
from server.models import Memory
from server.settings import Settings
from tests.support.world import World, eventually, opened

ROOT = Path(__file__).parents[2]
KILLS = 10


def test_nothing_acknowledged_is_lost_and_nothing_deleted_comes_back(settings: Settings, embedder: Embedder) -> None:
    settings = settings.model_copy(update={"exact_scan_limit": 0})
    lines = _lines_until_killed(settings, random.Random(7))
    kept = _ids(lines, "added") - _ids(lines, "deleting")
    deleted = _ids(lines, "deleted")
    with opened(settings, embedder) as world:
        _check(world, kept, deleted)  # while collections are being built
        eventually(lambda: world.index._worker.count_missing() == 0)
        _check(world, kept, deleted)


def _lines_until_killed(settings: Settings, moments: random.Random) -> list[list[str]]:
    """Return the words of each line that the writers printed."""
    command = [sys.executable, "-m", "tests.support.writer", settings.database_url.get_secret_value()]
    lines: list[list[str]] = []
    with subprocess.Popen(
        [*command, str(settings.data_dir)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writers:
        assert writers.stdin is not None
        assert writers.stdout is not None
        for _ in range(KILLS):
            writers.stdin.write("\n")
            writers.stdin.flush()
            lines += _until_ended(writers.stdout, moments.uniform(0.1, 0.8))
        writers.stdin.close()
    return lines


def _until_ended(lines: Iterable[str], after: float) -> Iterator[list[str]]:
    """Yield the writer's lines. Kill it `after` seconds after its first change."""
    pid, killing = 0, None
    for line in lines:
        word, *ids = line.split()
        if word == "started":
            pid = int(ids[0])
        elif word == "ended":
            return
        elif killing is None and pid:
            killing = threading.Timer(after, os.kill, (pid, signal.SIGKILL))
            killing.start()
        yield [word, *ids]


def _ids(lines: list[list[str]], event: str) -> set[str]:
    return {memory_id for word, *ids in lines if word == event for memory_id in ids}


def _check(world: World, kept: set[str], deleted: set[str]) -> None:
    with world.database.read() as session:
        stored = {row.id: row.content for row in session.execute(sa.select(col(Memory.id), col(Memory.content)))}
    assert kept <= stored.keys()
    assert not deleted & stored.keys()
    for memory_id in random.Random(7).sample(sorted(kept), min(60, len(kept))):
        found = world.found(stored[memory_id], Filters(), limit=3)
        assert memory_id in {result.memory.id for result in found}
        assert found[0].similarity > 0.9
    everything = {result.memory.id for result in world.found("memory number", limit=100)}
    assert not everything & deleted
