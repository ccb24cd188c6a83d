"""Shows a long list one page at a time."""

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from server.dashboard.done import position
from server.dashboard.fields import whole_number
from server.dashboard.pages import PageRequest

T = TypeVar("T")

PAGE_SIZE = 40


class ListPage(NamedTuple, Generic[T]):
    """Rows `start` (from 0, inclusive) to `end` (exclusive) of `total`. `parameter` names the start in the address."""

    rows: Sequence[T]
    start: int
    total: int
    parameter: str

    @property
    def end(self) -> int:
        return self.start + len(self.rows)

    @property
    def previous_start(self) -> int | None:
        return max(self.start - PAGE_SIZE, 0) if self.start else None

    @property
    def next_start(self) -> int | None:
        return self.end if self.rows and self.end < self.total else None


def back_to(request: PageRequest, path: str) -> str:
    """Return the address of the list at `path`, at the page from which the form was sent."""
    return f"{path}{position(request.http.query_params)}"


def number_in(request: PageRequest, parameter: str) -> int | None:
    """Return the number in the address, or None if there is none or it is not a number."""
    return whole_number(request.http.query_params.get(parameter, ""))


def paginate(request: PageRequest, rows: Sequence[T], parameter: str = "from") -> ListPage[T]:
    """Return the page that the address asks for, or the last page if that one does not exist."""
    start = number_in(request, parameter) or 0
    if start >= len(rows):
        start = max(len(rows) - 1, 0) // PAGE_SIZE * PAGE_SIZE
    return ListPage(rows[start : start + PAGE_SIZE], start, len(rows), parameter)
