"""Compares searches and adds over REST with the bare model and a bare scan of the vectors.

python -m bench.latency [--sizes 100,1000,10000,100000] [--seconds 5] [--database-url postgresql://…/an_empty_one]

Only the ratios are meaningful: both sides are measured alternately, so that other load affects them equally. The stored
memories have random text and random vectors, since embedding 100,000 texts takes ten minutes. Questions and the texts
that are added during the measurement go through the model.
"""

import argparse
import itertools
import json
import random
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
from sqlmodel import select

from bench.server import Caller, Server, started
from bench.timing import in_turn, p50_and_p95, rate
from server.domain.memory import storing
from server.hashing import token_hash
from server.index.model import bundled
from server.index.model.onnx_model import PRECISION, OnnxModel
from server.index.types import Embedded, Vectors
from server.models import ApiKey, IndexTask, Memory, ProjectIndex
from server.models.base import new_id
from server.settings import Settings
from server.storage.database import Database

SIZES = (100, 1_000, 10_000, 100_000)
CLIENTS = 16
INSERT_BATCH = 1_000
DIMENSIONS = 384

_random = random.Random(11)
_TOKENS = json.loads((bundled.source_folder() / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
_VOCABULARY = [word for word in sorted(_TOKENS, key=_TOKENS.get) if word.isalpha() and word.isascii() and len(word) > 2]
_WEIGHTS = list(itertools.accumulate(1 / (rank + 10) for rank in range(len(_VOCABULARY))))


def sentence(words: int) -> str:
    """Return random words, as frequent as in a natural language (Zipf)."""
    return " ".join(_random.choices(_VOCABULARY, cum_weights=_WEIGHTS, k=words)).capitalize()


def question() -> str:
    return f"When did {sentence(2)} go to the {sentence(3).lower()}?"


def random_vectors() -> Callable[[int], Vectors]:
    """Return a function that returns so many random vectors of unit length."""
    generator = np.random.default_rng(3)

    def vectors(count: int) -> Vectors:
        rows = generator.standard_normal((count, DIMENSIONS)).astype(np.float32)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)

    return vectors


def fill(database: Database, key: str, size: int, vectors: Callable[[int], Vectors] | None = None) -> str:
    """Write `size` memories of one piece each into the key's project, and return its id."""
    vectors = vectors or random_vectors()
    with database.read() as session:
        project_id = session.exec(select(ApiKey.project_id).where(ApiKey.token_hash == token_hash(key))).one()
    for start in range(0, size, INSERT_BATCH):
        texts = [sentence(18) for _ in range(min(INSERT_BATCH, size - start))]
        rows = [
            Memory(
                id=new_id("mem_"),
                project_id=project_id,
                content=text,
                content_hash=storing.hash_content(text),
                details={},
            )
            for text in texts
        ]
        with database.write() as session:
            storing.insert(session, project_id, rows, _embedded(texts, vectors(len(texts))))
    return project_id


def _embedded(texts: Sequence[str], vectors: Vectors) -> list[Embedded]:
    model = f"{bundled.NAME}/{PRECISION}"
    return [Embedded(model, ((0, len(text)),), row) for text, row in zip(texts, vectors[:, None], strict=True)]


def bare_search(model: OnnxModel, matrix: Vectors) -> Callable[[str], object]:
    """Return a search that embeds the question and finds the ten nearest vectors."""

    def search(text: str) -> object:
        scores = matrix @ model.encode([text])[0]
        return np.argpartition(-scores, min(10, len(scores) - 1))[:10]

    return search


def searching(caller: Caller) -> Callable[[str], object]:
    return lambda text: caller.post("/api/memories/search", {"query": text, "limit": 10})


def adding(caller: Caller) -> Callable[[str], object]:
    return lambda text: caller.post("/api/memories", {"messages": [{"role": "user", "content": text}]})


def measure(server: Server, database: Database, model: OnnxModel, size: int, seconds: float) -> None:
    key = server.key(f"Size {size}")
    project_id = fill(database, key, size)
    searching(server.caller(key))(question())
    wait_for_collection(database, project_id, size)
    caller = server.caller(key)
    search, add = searching(caller), adding(caller)
    matrix = np.random.default_rng(4).standard_normal((size, DIMENSIONS)).astype(np.float32)
    bare, ours = in_turn([bare_search(model, matrix), search], question, seconds)
    _row(f"search, {size:,} memories", ours, statistics.median(bare))
    bare, ours = in_turn([lambda text: model.encode([text]), add], lambda: sentence(18), seconds)
    _row(f"add, {size:,} memories", ours, statistics.median(bare))
    several = int(60 * seconds)
    _rates("search", model, lambda: searching(server.caller(key)), [question() for _ in range(several)])
    _rates("add", model, lambda: adding(server.caller(key)), [sentence(18) for _ in range(several)])


def wait_for_collection(database: Database, project_id: str, size: int) -> None:
    if size <= Settings.model_fields["exact_scan_limit"].default or _is_ready(database, project_id):
        return
    began = time.perf_counter()
    while not _is_ready(database, project_id):
        time.sleep(1)
    print(f"  (collection of {size:,} built in the background in {time.perf_counter() - began:.0f} s)")


def _is_ready(database: Database, project_id: str) -> bool:
    with database.read() as session:
        row = session.get(ProjectIndex, project_id)
        pending = session.exec(select(IndexTask.number).where(IndexTask.project_id == project_id).limit(1)).first()
        return row is not None and row.ready_at is not None and pending is None


def _row(name: str, ours: list[float], base: float) -> None:
    p50, p95 = p50_and_p95(ours)
    print(f"{name:<28}{base:>8.2f} ms{p50:>12.2f} ms{p95:>9.2f}{p50 / base:>9.2f}", flush=True)


def _rates(name: str, model: OnnxModel, caller: Callable[[], Callable[[str], object]], texts: list[str]) -> None:
    alone = rate([lambda text: model.encode([text])] * model.threads, texts)
    together = rate([caller() for _ in range(CLIENTS)], texts)
    print(
        f"{f'{name}, {CLIENTS} clients':<28}{alone:>9.0f}/s{together:>13.0f}/s{'':>9}{together / alone:>9.2f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--database-url", help="an empty database (default: SQLite)")
    options = parser.parse_args()
    print(f"{'':<28}{'bare':>11}{'ours p50':>15}{'p95':>9}{'ratio':>9}", flush=True)
    with started(**({"DATABASE_URL": options.database_url} if options.database_url else {})) as server:
        model = OnnxModel(bundled.exported(server.folder))
        url = options.database_url or f"sqlite:///{server.folder / 'selfmemory.db'}"
        database = Database(url, connections=2)
        for size in map(int, options.sizes.split(",")):
            measure(server, database, model, size, options.seconds)
        database.close()


if __name__ == "__main__":
    main()
