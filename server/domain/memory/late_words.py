"""Stores a long memory without its words, and writes them in another transaction: cutting a megabyte into terms and
storing these takes as long as everything else. A staged row says that the words are missing, as after an import.
"""

import sqlalchemy as sa
from sqlmodel import Session

from server.domain.memory import portions, publishing, unfinished
from server.domain.memory.storing import without_words
from server.index import outbox
from server.index.types import Embedded
from server.index.words import word_index
from server.models import Memory


def is_long(memory: Memory) -> bool:
    """Return whether the memory takes several transactions."""
    return portions.is_long(memory.content, memory.piece_count)


def rewrite(session: Session, memory: Memory, embedded: Embedded | None) -> None:
    """Write everything that is derived from the new text of a memory, or the words alone if `embedded` is None. If the
    text is long, this commits.
    """
    if embedded is not None:
        outbox.memories_changed(session, memory.project_id, [memory], [without_words(memory.content, embedded)])
    elif not is_long(memory):
        word_index.rewrite_words(session, memory.project_id, memory.number)
    write(session, memory)


def write(session: Session, memory: Memory) -> None:
    """Commit the transaction, and write the words of a long memory in the next one."""
    if is_long(memory):
        finish(session, publishing.owe_words(session, memory))


def finish(session: Session, import_id: str) -> None:
    """Commit the transaction, and publish all of an import that is committed, in turns. If the database fails then,
    housekeeping publishes the rest.
    """
    session.commit()
    try:
        unfinished.finish(session, import_id)
    except (sa.exc.OperationalError, sa.exc.TimeoutError):
        session.rollback()
