"""The quota of a project: what it may hold at most."""

from typing import NamedTuple


class Quota(NamedTuple):
    """`memories` is a number, `size` is in bytes. None is unlimited."""

    memories: int | None = None
    size: int | None = None


UNLIMITED = Quota()
