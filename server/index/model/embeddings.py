"""Turns texts into vectors. The rest of the server opens models only through this module."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Protocol

from server.index.model import bundled, hub, multilingual_e5, programs, sentence_folder
from server.index.model.batching import BatchingEmbedder
from server.index.model.endpoint import EndpointModel
from server.index.model.export_cache import prepared
from server.index.model.failures import ModelUnusable
from server.index.model.late import LateModel
from server.index.model.onnx_model import GRAPH, PRECISION, Exported, OnnxModel
from server.index.model.programs import ProgramFailed
from server.index.model.protocol import Model
from server.index.model.sentence_folder import NotExportable, SentenceModel
from server.index.model.transformers_model import TransformersModel
from server.index.types import Space, Vectors
from server.machine import resources
from server.settings import Settings

PACKAGED: dict[str, Callable[[Path], Exported]] = {
    bundled.NAME: bundled.exported,
    multilingual_e5.NAME: multilingual_e5.exported,
}
"""The models that come in a Python package."""

log = logging.getLogger(__name__)


class Embedder(Space, Protocol):
    """Turns texts into vectors. Any thread may call it; the call blocks."""

    def embed(self, texts: Sequence[str], /, *, is_question: bool = False) -> Vectors:
        """Return vectors of unit length, shape (len(texts), dimensions).

        Questions go before other texts, and get their own prompt.

        Raises EmbedderClosed, ModelAway, ModelFailed.
        """

    def submit(self, texts: Sequence[str], /, *, is_question: bool = False) -> Future[Vectors]:
        """Like `embed`, without waiting: the future gets the vectors or the error. Raises EmbedderClosed, ModelAway."""

    def is_idle(self) -> bool:
        """Return whether a text would run at once, on this machine."""

    def expect(self, caller: str) -> None:
        """Announce that the caller is going to use the model."""

    @property
    def waiting(self) -> tuple[int, int]:
        """How many texts and how many questions wait for the model."""

    def close(self) -> None:
        """Release the model. Waiting and later calls raise EmbedderClosed."""


def open_embedder(model: str, data_dir: Path) -> Embedder:
    """Load `model`. Raises ModelUnusable."""
    return BatchingEmbedder(load(model, data_dir))


def open_late(settings: Settings) -> Embedder:
    """Open the configured model, or keep trying in the background. Until it is open, embedding raises ModelAway.

    The workers of a server share the processors.
    """
    threads = EndpointModel.threads if settings.embedding_url else resources.share(settings.workers)
    return BatchingEmbedder(LateModel(lambda: configured(settings), threads), is_local=not settings.embedding_url)


def open_now(settings: Settings) -> Embedder:
    """Open the configured model. Raises ModelUnusable, and ModelAway if the endpoint does not answer."""
    return BatchingEmbedder(configured(settings), is_local=not settings.embedding_url)


def configured(settings: Settings) -> Model:
    """Return the model behind the endpoint, or load one here. Raises ModelUnusable, ModelAway."""
    if settings.embedding_url:
        key = settings.embedding_key.get_secret_value()
        return EndpointModel(settings.embedding_url, settings.embedding_model, key)
    return load(settings.embedding_model, settings.data_dir)


def open_packaged(name: str, data_dir: Path) -> Embedder | None:
    """Open the model with this `Embedder.name`, if it comes in a package that is installed."""
    model, _, precision = name.rpartition("/")
    if model not in PACKAGED or precision != PRECISION:
        return None
    try:
        return open_embedder(model, data_dir)
    except ModelUnusable:
        return None


def load(model: str, data_dir: Path) -> Model:
    """Load a model from a package, a folder or the hub. Raises ModelUnusable."""
    if model in PACKAGED:
        return OnnxModel(PACKAGED[model](data_dir))
    label = hub.label_of(model)
    folder = hub.folder_of(model)
    try:
        return OnnxModel(_exported(sentence_folder.read(folder, label.rpartition("/")[2]), label, data_dir))
    except (NotExportable, ProgramFailed) as error:
        log.warning(f"the embedding model {label} cannot be exported, so sentence-transformers runs it: {error}")
    return TransformersModel(str(folder) if hub.is_folder(model) else model, label)


def _exported(model: SentenceModel, label: str, data_dir: Path) -> Exported:
    """Return the exported model. Export it first if necessary. Raises ProgramFailed, ModelUnusable."""
    weights = model.checksum()
    make = partial(programs.export, model.folder, model.pooling)
    (graph,) = prepared(data_dir, f"{label.replace('/', '--')}.{GRAPH}", weights, [".onnx"], make)
    name = f"{label}-{weights[:8]}"
    return Exported(name, model.tokenizer, graph, model.max_tokens, model.prompts, model.is_lowercase)
