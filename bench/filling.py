"""Fills projects without the model and without a running server: a million memories in minutes instead of hours."""

from pathlib import Path

import numpy as np

from bench.latency import sentence
from server.index.chroma.client import open_embedded
from server.index.exact import matrix_cache
from server.index.model.onnx_model import OnnxModel
from server.index.types import Space, Vectors
from server.index.upkeep import following, rebuild
from server.storage.database import Database

SAMPLES = 2_000
MIXED = 3
NOISE = 0.3

ROWS_AT_ONCE = 5_000
"""Rows per write to Chroma. A server writes few at a time, so that its searches need not wait."""


class TextLikeVectors:
    """Makes vectors that lie where texts do: each is a random mix of a few texts' vectors, with noise of length
    `NOISE`. The nearest neighbors of plain random vectors take a graph longer to find.
    """

    def __init__(self, model: OnnxModel) -> None:
        self._samples = model.encode([sentence(18) for _ in range(SAMPLES)])
        self._random = np.random.default_rng(3)

    def __call__(self, count: int) -> Vectors:
        mixed = self._samples[self._random.integers(SAMPLES, size=(count, MIXED))]
        parts = self._random.dirichlet([1] * MIXED, count).astype(np.float32)
        noise = self._random.standard_normal((count, mixed.shape[2]), np.float32) * NOISE / mixed.shape[2] ** 0.5
        vectors = np.einsum("cm,cmd->cd", parts, mixed) + noise
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def build_collection(database: Database, folder: Path, space: Space, project_id: str) -> None:
    """Build the project's Chroma collection as a server does, but without its pauses and with larger writes."""
    following.CHROMA_BATCH = rebuild.STEP_PIECES = matrix_cache.PART_MEMORIES = ROWS_AT_ONCE
    chroma = open_embedded(folder / "chroma")
    try:
        matrices = matrix_cache.MatrixCache(space)
        for _ in rebuild.build_collection(database, chroma, matrices, space.name, project_id, lambda: None):
            pass
    finally:
        chroma.close()
