"""Runs a memory that is a Python library, in the environment where it is installed.

python -m bench.peers.driver NAME MODEL_FOLDER DATA_FOLDER

Reads a line of JSON for each request from standard input, `{"operation", "items", "clients"}`, and writes one for each
answer: `{"results", "milliseconds"}`. The times are those of the library's own calls. `fill` stores texts with random
vectors, since embedding them takes most of the time.
"""

import asyncio
import hashlib
import importlib
import itertools
import json
import math
import os
import random
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bench.timing import timed

USER = "bench"
LIMIT = 10
DIMENSIONS = 384


class Mem0:
    """mem0ai without a language model. It stores each text unchanged."""

    def __init__(self, model: str, folder: str) -> None:
        os.environ |= {"OPENAI_API_KEY": "none", "MEM0_TELEMETRY": "False", "MEM0_DIR": folder}
        self._memory = importlib.import_module("mem0").Memory.from_config(
            {
                "vector_store": {
                    "provider": "chroma",
                    "config": {"collection_name": "bench", "path": f"{folder}/chroma"},
                },
                "embedder": {"provider": "huggingface", "config": {"model": model, "embedding_dims": 384}},
                "history_db_path": f"{folder}/history.db",
            }
        )

    def add(self, text: str) -> Any:
        return self._memory.add(text, user_id=USER, infer=False)["results"][0]["id"]

    def search(self, text: str) -> int:
        return len(self._memory.search(text, filters={"user_id": USER}, top_k=LIMIT)["results"])

    def delete(self, memory_id: str) -> None:
        self._memory.delete(memory_id)

    def fill(self, texts: list[str]) -> None:
        """Store what `add` would, all at once, without the history of changes."""
        now = datetime.now(UTC).isoformat()
        payloads = [
            {
                "data": text,
                "hash": hashlib.md5(text.encode()).hexdigest(),
                "user_id": USER,
                "created_at": now,
                "updated_at": now,
                "text_lemmatized": text.lower(),
            }
            for text in texts
        ]
        self._memory.vector_store.insert(random_vectors(len(texts)), payloads, [str(uuid.uuid4()) for _ in texts])

    def count(self, _nothing: object) -> Any:
        return self._memory.vector_store.collection.count()


class Script:
    """The twenty lines that everybody writes first."""

    def __init__(self, model: str, folder: str) -> None:
        self._model = importlib.import_module("sentence_transformers").SentenceTransformer(model, device="cpu")
        client = importlib.import_module("chromadb").PersistentClient(f"{folder}/chroma")
        self._collection = client.get_or_create_collection("bench", embedding_function=None)
        self._numbers = itertools.count(self._collection.count())

    def add(self, text: str) -> str:
        memory_id = f"memory {next(self._numbers)}"
        vector = self._model.encode(text, show_progress_bar=False)
        self._collection.add(ids=[memory_id], embeddings=[vector], documents=[text])
        return memory_id

    def search(self, text: str) -> int:
        vector = self._model.encode(text, show_progress_bar=False)
        return len(self._collection.query(query_embeddings=[vector], n_results=LIMIT)["ids"][0])

    def delete(self, memory_id: str) -> None:
        self._collection.delete(ids=[memory_id])

    def fill(self, texts: list[str]) -> None:
        ids = [f"memory {next(self._numbers)}" for _ in texts]
        self._collection.add(ids=ids, embeddings=random_vectors(len(texts)), documents=texts)

    def count(self, _nothing: object) -> Any:
        return self._collection.count()


class McpMemoryService:
    """Fills the database of the server while the server does not run."""

    def __init__(self, model: str, folder: str) -> None:
        package = "mcp_memory_service"
        self._models = importlib.import_module(f"{package}.models.memory")
        self._hash = importlib.import_module(f"{package}.utils.hashing").generate_content_hash
        storage = importlib.import_module(f"{package}.storage.sqlite_vec").SqliteVecMemoryStorage
        self._storage = storage(f"{folder}/memories.db", model)
        self._storage.semantic_dedup_enabled = False
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._storage.initialize())
        self._storage._generate_embedding = lambda _text: random_vectors(1)[0]

    def fill(self, texts: list[str]) -> None:
        for text in texts:
            memory = self._models.Memory(content=text, content_hash=self._hash(text))
            stored, message = self._loop.run_until_complete(self._storage.store(memory))
            if not stored:
                raise RuntimeError(message)


def random_vectors(count: int) -> list[list[float]]:
    vectors = [[random.gauss(0, 1) for _ in range(DIMENSIONS)] for _ in range(count)]
    return [[value / math.hypot(*vector) for value in vector] for vector in vectors]


LIBRARIES: dict[str, Callable[[str, str], Any]] = {
    "mem0ai": Mem0,
    "script": Script,
    "mcp-memory-service": McpMemoryService,
}


def main() -> None:
    name, model, folder = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the library prints must not come between the answers
    library = LIBRARIES[name](model, folder)
    for line in sys.stdin:
        request = json.loads(line)
        done = timed(getattr(library, request["operation"]), request["items"], request["clients"])
        print(json.dumps(done._asdict()), file=answers, flush=True)


if __name__ == "__main__":
    main()
