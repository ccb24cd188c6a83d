"""Takes turns writing: a long change takes several transactions, so that others can write in between."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from sqlmodel import Session

from server.storage import chunks
from server.storage.database import is_sqlite, paused

PAUSE_SECONDS = 0.002
"""How long to sleep, so that another writer takes the lock. A thread that does not sleep would take it again first."""

T = TypeVar("T")


def end_turn(session: Session) -> None:
    """Commit, and let other writers go first. On Postgres, those who wait for a lock get it with the commit."""
    with paused(session):
        if is_sqlite(session):
            time.sleep(PAUSE_SECONDS)


def each(session: Session, items: Iterable[T]) -> Iterator[T]:
    """Yield the items. When a transaction has lasted for `chunks.TURN_SECONDS`, end the turn before the next item.

    On Postgres, each item gets a transaction of its own, because others write at the same time. Who keeps the lock of a
    project and waits for a memory would deadlock with somebody who has locked that memory and waits for the project.
    """
    until = time.monotonic() + chunks.TURN_SECONDS
    for position, item in enumerate(items):
        if time.monotonic() > until or (position and not is_sqlite(session)):
            end_turn(session)
            until = time.monotonic() + chunks.TURN_SECONDS
        yield item


def repeat(session: Session, step: Callable[[], bool]) -> None:
    """Repeat the step while it returns True, in turns as `each` does."""
    for _ in each(session, iter(step, False)):
        pass
