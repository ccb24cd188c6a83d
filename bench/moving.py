"""Imports a large ChatGPT export and prints time and memory: `python -m bench.moving [megabytes]`.

The memory must not grow with the file, and a second import must store nothing. The model is replaced by a stub,
because its time and memory are measured elsewhere.
"""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from pydantic import SecretStr
from sqlmodel import select

from server.domain.memory.exchange.entries import Warnings
from server.domain.memory.exchange.sources import checked, read_path
from server.domain.memory.imports import Imported, import_memories
from server.domain.people import users
from server.index import MemoryIndex
from server.index.types import Vectors
from server.models import Project
from server.settings import Settings
from server.storage.database import migrated
from tests.support.fakes import Unqueued

MEGABYTES = 300
ANSWER = "The hotel near the station has rooms with a view of the river. Breakfast is served until ten. " * 5
ABOUT = {"search_result_groups": ["https://example.com/a/page/that/was/read " * 50] * 5}
"""Stands in for the searches, citations and code that make up most of a real export."""

EXCHANGES = 20
REPORTED_EVERY = 5_000


class Constant(Unqueued):
    """An embedder that takes no time."""

    name = "constant/bench"
    dimensions = 8
    mean = np.zeros(8, np.float32)

    def embed(self, texts: Sequence[str], /, *, is_question: bool = False) -> Vectors:  # noqa: ARG002 - the protocol's
        return np.full((len(texts), self.dimensions), self.dimensions**-0.5, dtype=np.float32)


def main() -> None:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else MEGABYTES
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "conversations.json"
        write_export(path, megabytes * 1_000_000)
        print(f"file: {path.stat().st_size / 1e6:.0f} MB")
        settings = Settings(data_dir=Path(folder) / "data", database_url=SecretStr(f"sqlite:///{folder}/bench.db"))
        for attempt in ("first", "second"):
            began = time.monotonic()
            imported = bring(settings, path)
            spent = time.monotonic() - began
            counts = f"{imported.stored} stored, {imported.known + imported.expired} skipped"
            print(f"{attempt} import: {counts}, {spent:.0f} s, peak {peak():.0f} MB", flush=True)


def bring(settings: Settings, path: Path) -> Imported:
    with migrated(settings.database_url.get_secret_value()) as database:
        with database.write() as session:
            if session.exec(select(Project)).first() is None:
                users.register(session, "bench@example.com", "", None, verified=True)
            project_id = session.exec(select(Project)).one().id
        index = MemoryIndex(settings, database, Constant())
        read = 0

        def report(count: int) -> None:
            nonlocal read
            if (read + count) // REPORTED_EVERY > read // REPORTED_EVERY:
                print(f"  {read + count} read, peak {peak():.0f} MB", flush=True)
            read += count

        try:
            return import_memories(database, project_id, checked(read_path(path, Warnings())), index, report)
        finally:
            index.close()


def write_export(path: Path, size: int) -> None:
    """Write conversations until the file has about `size` bytes."""
    with path.open("w") as file:
        file.write("[")
        for number, conversation in enumerate(conversations()):
            file.write((", " if number else "") + json.dumps(conversation))
            if file.tell() > size:
                break
        file.write("]")


def conversations() -> Iterator[dict[str, object]]:
    number = 0
    while True:
        number += 1
        mapping: dict[str, object] = {"0": {"parent": None, "message": None}}
        for turn in range(2 * EXCHANGES):
            role = "assistant" if turn % 2 else "user"
            text = f"Conversation {number}, turn {turn}. {ANSWER if turn % 2 else 'Which hotel is it?'}"
            message = {
                "author": {"role": role}, "create_time": 1.7e9 + number * 1000 + turn,
                "content": {"content_type": "text", "parts": [text]}, "metadata": ABOUT if turn % 2 else {},
            }  # fmt: skip
            mapping[str(turn + 1)] = {"parent": str(turn), "message": message}
        yield {"title": f"Trip {number}", "id": f"c{number}", "mapping": mapping, "current_node": str(2 * EXCHANGES)}


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    main()
