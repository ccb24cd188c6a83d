"""Cuts the memories of an import or a batch into portions, each small enough for one transaction."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from server.index.pieces import PACKED_LENGTH

MOST_ITEMS = 32

PUBLISHED_WEIGHT = 64
"""How much to publish at a time, unless a single memory weighs more."""

LONG_WEIGHT = 128
"""Above this weight, one memory takes several transactions, so that none takes more than 0.1 s: see `publish`."""

STAGED_WEIGHT = 256
"""The weight to stage at a time. A single memory may weigh more."""

T = TypeVar("T")

HISTORY_LENGTH = 10_000
"""How many characters of a history take as long to write as a piece with its vector and words."""


def weight_of(content: str, pieces: int = 0, history_length: int = 0) -> int:
    """Return roughly how much work writing a memory takes: its number of pieces, or an estimate if it has few."""
    return max(pieces, len(content) // PACKED_LENGTH) + history_length // HISTORY_LENGTH


def is_long(content: str, pieces: int) -> bool:
    """Return whether a memory takes several transactions."""
    return weight_of(content, pieces) > LONG_WEIGHT


def portions(items: Iterable[T], weigh: Callable[[T], int], most_weight: int) -> Iterator[list[T]]:
    """Yield the items in order, at most `MOST_ITEMS` at a time, and fewer if they are heavy."""
    portion: list[T] = []
    total = 0
    for item in items:
        weight = weigh(item)
        total += weight
        if portion and (total > most_weight or len(portion) == MOST_ITEMS):
            yield portion
            portion, total = [], weight
        portion.append(item)
    if portion:
        yield portion
