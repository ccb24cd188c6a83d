"""A model that may be missing: the server starts without it, and uses it as soon as it is available."""

import importlib
import logging
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from server.index.model.failures import ModelAway, ModelUnusable
from server.index.model.prompts import Prompts
from server.index.model.protocol import Model
from server.index.types import Vector, Vectors

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 10.0
"""How long the startup waits for a model to load. It does not wait for a missing model."""

RETRY_SECONDS = 3.0
LONGEST_RETRY_SECONDS = 300.0
REST_FACTOR = 10
"""The pause after a failed attempt, as a multiple of its duration, because some attempts keep a machine busy for a
minute.
"""

LOADING = "The embedding model is being prepared. Until the model is ready, searches find memories only by their words."


class LateModel:
    """A Model that `load` opens in the background. Until then, `encode` and `prompts` raise ModelAway at once. If
    `load` raises ModelUnusable or ModelAway, it runs again, until it succeeds. `name` is "" and `dimensions` 0 until
    then.
    """

    def __init__(self, load: Callable[[], Model], threads: int) -> None:
        self.threads = threads
        self._load = load
        self._model: Model | None = None
        self._trouble = LOADING
        self._settled = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="model-loader", daemon=True)
        self._thread.start()
        self._settled.wait(PATIENCE_SECONDS)

    @property
    def name(self) -> str:
        return self._model.name if self._model else ""

    @property
    def dimensions(self) -> int:
        return self._model.dimensions if self._model else 0

    @property
    def mean(self) -> Vector:
        return self._model.mean if self._model else np.empty(0, np.float32)

    @property
    def batch_size(self) -> int:
        return self._model.batch_size if self._model else 1

    @property
    def prompts(self) -> Prompts:
        """Raises ModelAway until the model is there, so that no text is embedded without its prompt."""
        return self._loaded().prompts

    def encode(self, texts: Sequence[str], /) -> Vectors:
        return self._loaded().encode(texts)

    def can_read(self, text: str, /) -> bool:
        return self._loaded().can_read(text)

    def close(self) -> None:
        """Stop trying. An attempt in progress continues until the process ends."""
        self._closing.set()
        if self._model is not None:
            self._model.close()

    def _loaded(self) -> Model:
        if self._model is None:
            raise ModelAway(self._trouble)
        return self._model

    def _run(self) -> None:
        while not self._closing.is_set() and self._model is None:
            began = time.monotonic()
            self._try()
            self._settled.set()
            rest = REST_FACTOR * (time.monotonic() - began)
            self._closing.wait(min(max(rest, RETRY_SECONDS), LONGEST_RETRY_SECONDS) if self._model is None else 0)

    def _try(self) -> None:
        bug: Exception | None = None
        try:
            importlib.invalidate_caches()  # a package may have been installed since the last attempt
            self._model = self._load()
        except (ModelUnusable, ModelAway) as error:
            trouble = str(error)
        except Exception as error:  # noqa: BLE001 - the loader must not die, because somebody may solve the problem
            trouble = f"The embedding model cannot be loaded ({type(error).__name__}): run doctor, or see the log."
            bug = error
        else:
            log.info("the embedding model is ready", extra={"model": self._model.name})
            return
        if trouble != self._trouble:
            advice = "Until the model is ready, searches find memories only by their words."
            log.warning(f"{trouble} {advice}", exc_info=bug)
            self._trouble = trouble
