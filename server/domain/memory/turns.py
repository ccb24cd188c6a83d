"""Takes turns writing: a long change takes several transactions, so that others can write in between."""

import time
from collections.abc import Callable

from sqlmodel import Session

from server.database import paused

PAUSE_SECONDS = 0.002
"""How long to sleep, so that another writer takes the lock. A thread that does not sleep would take it again first."""


def end_turn(session: Session) -> None:
    """Commit, and let other writers go first."""
    with paused(session):
        time.sleep(PAUSE_SECONDS)


def in_turns(session: Session, step: Callable[[], bool], seconds: float) -> None:
    """Repeat the step while it returns True, for about this many seconds per transaction."""
    until = time.monotonic() + seconds
    while step():
        if time.monotonic() > until:
            end_turn(session)
            until = time.monotonic() + seconds
