"""Slows down the worker's embedding while there are searches, so that they get most of the model's time."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from server.index.model.embeddings import Embedder
from server.index.types import Vectors

SEARCHED_SECONDS = 2.0
"""How long the worker stays slow after a search."""

MOST_PIECES = 64
"""Maximum number of pieces to embed at a time, because a memory may have thousands, which take minutes."""

REST_FACTOR = 3.0
"""While it is slow, the worker pauses after each piece for this multiple of the time that the piece took."""


class Pace:
    def __init__(self, embedder: Embedder, *, is_local: bool) -> None:
        self._embedder = embedder
        self._is_local = is_local
        self._searched_at = -SEARCHED_SECONDS

    def note_search(self) -> None:
        self._searched_at = time.monotonic()

    def embed(self, texts: Sequence[str], between: Callable[[], None]) -> Vectors:
        """Embed the texts for the worker: many at once, or one at a time with pauses. Calls `between` after each part.
        Never pauses for a remote model, which takes nothing from searches. Raises the errors of `Embedder.embed` and
        `between`.
        """
        vectors: list[Vectors] = []
        done = 0
        while done < len(texts):
            is_slow = self._is_local and time.monotonic() < self._searched_at + SEARCHED_SECONDS
            part = texts[done : done + (1 if is_slow else MOST_PIECES)]
            began = time.monotonic()
            vectors.append(self._embedder.embed(part))
            time.sleep(REST_FACTOR * (time.monotonic() - began) if is_slow else 0)
            done += len(part)
            between()
        return np.concatenate(vectors) if vectors else np.empty((0, self._embedder.dimensions), np.float32)
