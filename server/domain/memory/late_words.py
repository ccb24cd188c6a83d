"""Stores a long memory without its words, and writes them in another transaction: cutting a megabyte into terms and
storing these takes as long as everything else. A staged row says that the words are missing, as after an import.
"""

from dataclasses import replace

import sqlalchemy as sa
from sqlmodel import Session

from server.domain.memory import publishing, unfinished
from server.domain.memory.portions import LONG_WEIGHT, weight_of
from server.index import outbox
from server.index.types import Embedded
from server.models import Memory


def is_long(memory: Memory) -> bool:
    """Return whether the memory takes several transactions."""
    return _is_long(memory.content, memory.piece_count)


def without_words(content: str, embedded: Embedded) -> Embedded:
    """Return what to store first: everything, or all but the words of a long text."""
    return replace(embedded, terms=()) if _is_long(content, len(embedded.spans)) else embedded


def rewrite(session: Session, memory: Memory, embedded: Embedded) -> None:
    """Write everything that is derived from the new text of a memory. If the text is long, this commits."""
    outbox.memories_changed(session, memory.project_id, [memory], [without_words(memory.content, embedded)])
    write(session, memory)


def write(session: Session, memory: Memory) -> None:
    """Commit the transaction, and write the words of a long memory in the next one. If the database fails then,
    housekeeping writes them: until then, the memory is found by its meaning.
    """
    if not is_long(memory):
        return
    owed = publishing.owe_words(session, memory)
    session.commit()
    try:
        unfinished.finish(session, owed)
    except (sa.exc.OperationalError, sa.exc.TimeoutError):
        session.rollback()


def _is_long(content: str, piece_count: int) -> bool:
    return weight_of(content, piece_count) > LONG_WEIGHT
