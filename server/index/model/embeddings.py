"""Turns texts into vectors. The rest of the server uses models only through this module."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from server.index.model import bundled
from server.index.model.batching import BatchingEmbedder, Model
from server.index.model.bundled import prepare
from server.index.model.failures import EmbedderClosed, ModelAway, ModelFailed, ModelUnusable
from server.index.model.late import LateModel
from server.index.types import Vectors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = [
    "DEFAULT_MODEL",
    "Embedder",
    "EmbedderClosed",
    "ModelAway",
    "ModelFailed",
    "ModelUnusable",
    "open_embedder",
    "open_late",
    "prepare",
]

DEFAULT_MODEL = bundled.NAME


class Embedder(Protocol):
    """Turns texts into vectors. Any thread may call it; the call blocks."""

    @property
    def name(self) -> str:
        """The model and its precision, e.g. "all-MiniLM-L6-v2/int8". Never compare vectors of different names.

        "" until the model is loaded for the first time.
        """

    @property
    def dimensions(self) -> int:
        """The length of a vector; 0 as long as `name` is empty."""

    def embed(self, texts: Sequence[str], /, *, is_question: bool = False) -> Vectors:
        """Return vectors of unit length, shape (len(texts), dimensions). A question has its turn before other texts.

        Raises EmbedderClosed, ModelAway, ModelFailed.
        """

    def close(self) -> None:
        """Release the model. Waiting and later calls raise EmbedderClosed."""


class TransformersModel:
    """Any other model, given by its name on a hub or by its folder. Runs in sentence-transformers, in batches."""

    threads = 1
    batch_size = 32

    def __init__(self, name: str) -> None:
        self.name = f"{name}/fp32"
        self._model = _sentence_transformer(name)
        self.dimensions = len(self.encode([""])[0])

    def encode(self, texts: Sequence[str], /) -> Vectors:
        vectors = self._model.encode(
            list(texts), batch_size=self.batch_size, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(vectors, dtype=np.float32)

    def close(self) -> None:
        pass


def open_embedder(model: str, data_dir: Path) -> Embedder:
    """Load `model`. Raises ModelUnusable."""
    return BatchingEmbedder(load(model, data_dir))


def open_late(model: str, data_dir: Path) -> Embedder:
    """Load `model`, or else go on trying in the background. Until then the embedder raises ModelAway."""
    return BatchingEmbedder(LateModel(lambda: load(model, data_dir)))


def load(model: str, data_dir: Path) -> Model:
    """Load the bundled model, or any other through sentence-transformers. Raises ModelUnusable."""
    return bundled.load(data_dir) if model == DEFAULT_MODEL else TransformersModel(model)


def _sentence_transformer(name: str) -> "SentenceTransformer":
    try:
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - torch: 4 s and 350 MB
        from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415

        disable_progress_bar()  # type: ignore[no-untyped-call]  # the function has no types
        for library in ("transformers", "huggingface_hub"):
            logging.getLogger(library).handlers.clear()  # they would repeat our log lines in another format
        return SentenceTransformer(name)
    except (ImportError, OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelUnusable(f"The embedding model {name!r} cannot be loaded: {reason}") from error
