"""A list that may be long, a page of it at a time: so that no page grows without end."""

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from server.dashboard.pages import PageRequest

T = TypeVar("T")

SIZE = 40


class Part(NamedTuple, Generic[T]):
    """Some of `total` rows, `start` of which come before; `name` is what the address calls that number."""

    rows: Sequence[T]
    start: int
    total: int
    name: str

    @property
    def before(self) -> int | None:
        """Where the part before begins."""
        return max(self.start - SIZE, 0) if self.start else None

    @property
    def after(self) -> int | None:
        end = self.start + len(self.rows)
        return end if self.rows and end < self.total else None


def part_of(visit: PageRequest, rows: Sequence[T], name: str = "from") -> Part[T]:
    """The part that the address asks for; the first when it asks for none that there is."""
    wanted = visit.request.query_params.get(name, "")
    start = int(wanted) if wanted.isdecimal() and wanted.isascii() and len(wanted) < 7 else 0
    start = start if start < len(rows) else 0
    return Part(rows[start : start + SIZE], start, len(rows), name)
