"""What a requirement is."""

from typing import NamedTuple


class Requirement(NamedTuple):
    """A promise in one sentence, and its source: a specification, a client's documentation, or "ours"."""

    sentence: str
    source: str
