"""The limits of a project: how much it may hold, and how long it keeps deleted memories."""

from typing import NamedTuple


class Quota(NamedTuple):
    """`memories` is a number, `size` is in bytes. None is unlimited."""

    memories: int | None = None
    size: int | None = None


UNLIMITED = Quota()

TRASH_DAYS = 7
MOST_TRASH_DAYS = 90
