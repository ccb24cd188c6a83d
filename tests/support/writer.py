"""Adds and deletes memories until it is killed; says on standard output what was acknowledged, a line each.

`python -m tests.support.writer DATABASE_URL DATA_DIR` starts a new writer, in a process of its own, for each
line that it reads, and says `started PID` and `ended` besides.
"""

import itertools
import os
import sys
from pathlib import Path

from server.index.chroma import client
from server.settings import read_settings
from tests.support.fakes import WordEmbedder
from tests.support.world import opened

client.HNSW["sync_threshold"] = client.HNSW["batch_size"] = 10  # saves its files all the time, so it is killed in that


def main(database_url: str, data_dir: str) -> None:
    for _ in sys.stdin:
        child = os.fork()  # before any thread and any connection: only what was imported is shared
        if child == 0:
            write(database_url, Path(data_dir))
        say("started", str(child))
        os.waitpid(child, 0)
        say("ended")


def write(database_url: str, data_dir: Path) -> None:
    settings = read_settings(env_file=None, data_dir=data_dir, database_url=database_url, exact_scan_limit=0)
    with opened(settings, WordEmbedder()) as world:
        for number in itertools.count():
            ids = world.add_many([f"memory number {number} {n} of {os.getpid()}" for n in range(10)])
            say("added", *ids)
            world.texts(f"number {number}")
            say("deleting", ids[0])
            world.delete(ids[0])
            say("deleted", ids[0])


def say(*words: str) -> None:
    """In one piece, whatever another process says meanwhile."""
    os.write(1, (" ".join(words) + "\n").encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
