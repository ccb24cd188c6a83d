"""Small working implementations of our protocols."""

import functools
import hashlib
import re
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from server.index.types import Vector, Vectors

WORD = re.compile(r"\w+")


class Unqueued:
    """An `Embedder` without a queue: each call that does not wait gets a thread of its own."""

    waiting = (0, 0)

    def embed(self, texts: Sequence[str], /, *, is_question: bool = False) -> Vectors:
        raise NotImplementedError

    def submit(self, texts: Sequence[str], /, *, is_question: bool = False) -> Future[Vectors]:
        threads = ThreadPoolExecutor(1)
        future = threads.submit(self.embed, texts, is_question=is_question)
        threads.shutdown(wait=False)
        return future

    def is_idle(self) -> bool:
        return False

    def expect(self, caller: str) -> None:
        pass

    def close(self) -> None:
        pass


class WordEmbedder(Unqueued):
    """Makes texts that share words similar: each word adds a fixed random direction. Deterministic and fast."""

    name = "words/test"
    dimensions = 64
    mean = np.zeros(64, np.float32)

    def embed(self, texts: Sequence[str], /, *, is_question: bool = False) -> Vectors:
        return _unit([sum(map(_direction, WORD.findall(text.lower())), _direction("")) for text in texts])

    def can_read(self, _text: str, /) -> bool:
        """Return True. Tests make a `Model` of this class."""
        return True


class SharedDirection(WordEmbedder):
    """All its vectors share a direction, as those of multilingual-e5-small: unrelated texts have a cosine of 0.8."""

    name = "shared/test"
    shared = np.eye(1, WordEmbedder.dimensions, dtype=np.float32)[0]

    def __init__(self, *, knows_mean: bool = True) -> None:
        self.mean = self.shared * np.float32(0.8**0.5 if knows_mean else 0)

    def embed(self, texts: Sequence[str], /, *, is_question: bool = False) -> Vectors:
        vectors = _unit(
            [sum(map(_direction, WORD.findall(text.lower())), np.float32(0.01) * _direction(text)) for text in texts]
        )
        return _unit(2 * self.shared + vectors)


class SharedNothing(WordEmbedder):
    """Its vectors have random directions, one for each text."""

    name = "nothing/test"

    def embed(self, texts: Sequence[str], /, *, is_question: bool = False) -> Vectors:
        return _unit([_direction(text) for text in texts])


def _unit(rows: Sequence[Vector] | Vectors) -> Vectors:
    vectors = np.array(rows, np.float32).reshape(len(rows), WordEmbedder.dimensions)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


@functools.lru_cache(maxsize=10_000)
def _direction(word: str) -> Vector:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).standard_normal(WordEmbedder.dimensions).astype(np.float32)
