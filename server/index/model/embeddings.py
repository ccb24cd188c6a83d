"""Texts into vectors: all that the rest of the server knows about a model."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from server.index.model import bundled
from server.index.model.batching import BatchingEmbedder, EmbedderClosed, ModelFailed
from server.index.model.bundled import ModelUnusable, prepare

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["DEFAULT_MODEL", "Embedder", "EmbedderClosed", "ModelFailed", "ModelUnusable", "open_embedder", "prepare"]

DEFAULT_MODEL = bundled.NAME


class Embedder(Protocol):
    """What turns texts into vectors. Any thread may call it, and waits."""

    @property
    def name(self) -> str:
        """The model and its precision, "all-MiniLM-L6-v2/int8": vectors of two names must not be compared."""

    @property
    def dimensions(self) -> int:
        """The length of a vector."""

    def embed(self, texts: Sequence[str], /, *, urgent: bool = False) -> NDArray[np.float32]:
        """Vectors of unit length, shape (len(texts), dimensions); `urgent` when a question waits for the answer.

        Raises EmbedderClosed, ModelFailed.
        """

    def close(self) -> None:
        """Let go of the model; whoever still waits, and whoever asks later, is told EmbedderClosed."""


class TransformersModel:
    """Any other model, by its name on a hub or by its folder; run by sentence-transformers, in batches."""

    threads = 1
    batch_size = 32

    def __init__(self, name: str) -> None:
        self.name = f"{name}/fp32"
        self._model = _sentence_transformer(name)
        self.dimensions = len(self.encode([""])[0])

    def encode(self, texts: Sequence[str], /) -> NDArray[np.float32]:
        vectors = self._model.encode(
            list(texts), batch_size=self.batch_size, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(vectors, dtype=np.float32)


def open_embedder(model: str, data_dir: Path) -> Embedder:
    """Load `model`: the bundled one by its name, any other by sentence-transformers. Raises ModelUnusable."""
    return BatchingEmbedder(bundled.load(data_dir) if model == DEFAULT_MODEL else TransformersModel(model))


def _sentence_transformer(name: str) -> "SentenceTransformer":
    try:
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - torch: 4 s and 350 MB
        from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415

        disable_progress_bar()  # type: ignore[no-untyped-call]  # the library's own lack
        for library in ("transformers", "huggingface_hub"):
            logging.getLogger(library).handlers.clear()  # they would say all once more, in their own format
        return SentenceTransformer(name)
    except (ImportError, OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelUnusable(f"The embedding model {name!r} cannot be loaded: {reason}") from error
