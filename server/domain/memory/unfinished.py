"""Finishes what is committed but not published yet: imports, large batches, and the words of long memories.

Several processes may publish the same import. Each step locks it, so they take turns and store everything once. A
repeated request therefore helps to publish what the first one committed, even if the first one is still at work.

A long memory is stored without its words, and they are written in another transaction: cutting a megabyte into terms
and storing these takes as long as everything else. A staged row says that the words are missing, as after an import.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.memory import imports, publishing
from server.domain.memory.storing import hash_content, is_long, without_words
from server.index import outbox
from server.index.types import Embedded
from server.index.words import word_index
from server.models import Import, Memory, StagedMemory
from server.models.base import is_of_later_clock, now
from server.models.projects import deleted_projects

ABANDONED_AFTER = timedelta(minutes=30)
"""An uncommitted import that does not continue for this long is discarded."""

LOOKS = 30
"""How many times in a row a process must see that an uncommitted import has not continued before it discards it."""

TAKEN_OVER_AFTER = timedelta(seconds=3)
"""If publishing a committed import does not continue for this long, another process takes it over."""


class LeftBehind(NamedTuple):
    """An import on which no process seems to work. `touched_at` is when one did for the last time."""

    import_id: str
    is_committed: bool
    touched_at: datetime


class Idle:
    """Counts how often a process looked at uncommitted imports that have not continued since. Their times alone do not
    tell: another machine's clock may be half an hour ahead of this one's, and a laptop may have slept for as long.
    """

    def __init__(self) -> None:
        self._looks: dict[LeftBehind, int] = {}

    def discardable(self, found: Iterable[LeftBehind]) -> list[LeftBehind]:
        """Return those that this process has now seen unchanged `LOOKS` times in a row."""
        self._looks = {left: self._looks.get(left, 0) + 1 for left in found if not left.is_committed}
        return [left for left, looks in self._looks.items() if looks >= LOOKS]


def left_behind(session: Session, started_at: datetime) -> list[LeftBehind]:
    """Return the imports that no process works on, oldest first. A process that started at `started_at` also gets all
    committed ones from before, because a restart ends the work of the process before it.
    """
    committed, touched_at = col(Import.committed_at).is_not(None), col(Import.touched_at)
    moment = now()
    limit = sa.case((committed, max(started_at, moment - TAKEN_OVER_AFTER)), else_=moment - ABANDONED_AFTER)
    is_left = (touched_at <= limit) | (committed & is_of_later_clock(touched_at, ABANDONED_AFTER))
    query = sa.select(col(Import.id), committed, touched_at).where(is_left)
    query = query.where(col(Import.project_id).not_in(deleted_projects())).order_by(touched_at)
    return [LeftBehind(row[0], bool(row[1]), row[2]) for row in session.execute(query)]


def take_over(session: Session, left: LeftBehind) -> bool:
    """Mark the import as being worked on. Return False if another process did so first, or has continued."""
    unchanged = (col(Import.id) == left.import_id, col(Import.touched_at) == left.touched_at)
    taken = sa.update(Import).where(*unchanged).values(touched_at=now()).returning(col(Import.id))
    return session.scalar(taken) is not None


def finish_texts(session: Session, project_id: str, texts: Iterable[str]) -> None:
    """Publish the committed imports and batches that hold any of these texts. Like `imports.finish_project`."""
    committed = imports.committed_in(session, None, project_id)
    if not committed:
        return
    hashes = {hash_content(text) for text in texts}
    holding = (col(StagedMemory.import_id).in_(committed), col(StagedMemory.content_hash).in_(hashes))
    for import_id in session.scalars(sa.select(col(StagedMemory.import_id)).where(*holding).distinct()).all():
        imports.finish(session, import_id)


def rewrite(session: Session, memory: Memory, embedded: Embedded | None) -> None:
    """Write everything that is derived from the new text of a memory, or the words alone if `embedded` is None. If the
    text is long, this commits.
    """
    if embedded is not None:
        outbox.memories_changed(session, memory.project_id, [memory], [without_words(memory.content, embedded)])
    elif not is_long(memory):
        word_index.rewrite_words(session, memory.project_id, memory.number)
    write_words(session, memory)


def write_words(session: Session, memory: Memory) -> None:
    """Commit the transaction, and write the words of a long memory in the next one."""
    if is_long(memory):
        finish_later(session, publishing.owe_words(session, memory))


def finish_later(session: Session, import_id: str) -> None:
    """Commit the transaction, and finish the import. If the database fails then, housekeeping publishes the rest."""
    session.commit()
    try:
        imports.finish(session, import_id)
    except (sa.exc.OperationalError, sa.exc.TimeoutError):
        session.rollback()
