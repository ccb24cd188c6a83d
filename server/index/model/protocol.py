"""What the server needs from a model."""

from collections.abc import Sequence
from typing import Protocol

from server.index.model.prompts import Prompts
from server.index.types import Space, Vectors


class Model(Space, Protocol):
    """A model that can run on `threads` threads at once, with up to `batch_size` texts each."""

    @property
    def threads(self) -> int: ...

    @property
    def batch_size(self) -> int: ...

    @property
    def prompts(self) -> Prompts:
        """The prompts that the embedder puts in front of texts. Raises ModelAway."""

    def encode(self, texts: Sequence[str], /) -> Vectors:
        """Return vectors of unit length, shape (len(texts), dimensions). Raises ModelAway."""

    def can_read(self, text: str, /) -> bool:
        """Return whether the model knows a word of the text, or a part of one. Raises ModelAway."""

    def close(self) -> None: ...
