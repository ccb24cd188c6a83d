"""Runs models that cannot be exported. It uses sentence-transformers, which is slower and loads 350 MB of torch."""

import logging
import threading
from collections.abc import Sequence
from pickle import UnpicklingError
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError

from server.index.model.failures import ModelUnusable
from server.index.model.mean import mean_of
from server.index.model.prompts import prompts_of
from server.index.types import Vectors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


FAILURES = (
    *(ImportError, OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, EOFError),
    *(SafetensorError, UnpicklingError),
)
"""The errors that the libraries raise for a model that is missing, damaged or unknown."""


class TransformersModel:
    """Runs in batches on one thread at a time, since torch uses all cores by itself."""

    threads = 1
    batch_size = 32

    def __init__(self, source: str, label: str) -> None:
        """Load the model from a folder or a hub. `label` names it for people. Raises ModelUnusable."""
        self.name = f"{label}/fp32"
        self._lock = threading.Lock()
        self._model = _sentence_transformer(source, label)
        config = {"prompts": self._model.prompts, "default_prompt_name": self._model.default_prompt_name}
        self.prompts = prompts_of(config, label.rpartition("/")[2])
        self.dimensions = len(self.encode([""])[0])
        self.mean = mean_of(self)

    def encode(self, texts: Sequence[str], /) -> Vectors:
        with self._lock:
            vectors = self._model.encode(
                list(texts), prompt="", batch_size=self.batch_size, normalize_embeddings=True, show_progress_bar=False
            )
        return np.asarray(vectors, dtype=np.float32)

    def can_read(self, _text: str, /) -> bool:
        """Return True, because only the model itself knows."""
        return True

    def close(self) -> None:
        pass


def _sentence_transformer(source: str, label: str) -> "SentenceTransformer":
    try:
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - torch: 4 s and 350 MB
        from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415

        disable_progress_bar()  # type: ignore[no-untyped-call]  # the function has no types
        for library in ("transformers", "huggingface_hub"):
            logging.getLogger(library).handlers.clear()  # its own handlers would repeat our log lines in another format
        return SentenceTransformer(source)
    except FAILURES as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].replace(source, label)
        raise ModelUnusable(f"The embedding model {label!r} cannot be loaded: {reason}") from error
