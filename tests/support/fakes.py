"""Small real stand-ins behind our own protocols."""

import hashlib
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

WORD = re.compile(r"\w+")


class WordEmbedder:
    """Texts that share words are near: each word adds a fixed random direction. Deterministic, instant."""

    name = "words/test"
    dimensions = 64

    def embed(self, texts: Sequence[str], /, *, urgent: bool = False) -> NDArray[np.float32]:
        rows = [sum((_direction(word) for word in WORD.findall(text.lower())), _direction("")) for text in texts]
        matrix = np.array(rows, dtype=np.float32).reshape(len(texts), self.dimensions)
        matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
        return matrix

    def close(self) -> None:
        pass


def _direction(word: str) -> NDArray[np.float32]:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).standard_normal(WordEmbedder.dimensions).astype(np.float32)
