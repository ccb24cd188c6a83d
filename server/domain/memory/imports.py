"""Imports in small transactions: lines are staged, committed together, and then published.

No query of memories sees a staged line. `commit` decides in one short transaction that all will be stored. Then
`publish` moves them into the project step by step. A crash before the commit leaves nothing behind; after it,
`unfinished` finishes the work. So no transaction writes for long, and many lines need no more memory than a few.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain import audit
from server.domain.access import Action
from server.domain.audit import Event
from server.domain.locks import lock_project_shared, locked_work
from server.domain.memory import activity, histories, moves, publishing
from server.domain.memory.duplicates import NumberedLine, OnDuplicate, without_known
from server.domain.memory.exchange.export import require_project_for
from server.domain.memory.exchange.lines import Line, Progress, dated, memory_of, no_progress
from server.domain.memory.publishing import Staged, Wordless
from server.domain.memory.storing import STAGED_WEIGHT, embed, embedding_input, portions, weight_of
from server.domain.memory.usage import require_room
from server.domain.turns import end_turn
from server.errors import NotFound
from server.index import Index
from server.index.words.titles import memory_terms, words_beside
from server.models import Import, Project, StagedMemory, metadata
from server.models.activity import ActivityKind
from server.models.base import now
from server.models.sources import Source
from server.models.stored_size import size_of_memory
from server.principal import Principal
from server.storage import chunks
from server.storage.database import Database, paused

_staged = metadata.tables["staged_memories"]


class ImportEnded(NotFound):
    sentence = "The import made no progress for half an hour, or its project was deleted. Import the file again."


class Imported(NamedTuple):
    """How many memories an import stored, and how many it skipped: the project had them, or they had expired."""

    stored: int = 0
    known: int = 0
    expired: int = 0


def begin(
    session: Session,
    principal: Principal | None,
    project_id: str,
    created_by: str | None = None,
    source: Source | None = None,
) -> str:
    """Begin an import and return its id. Without a principal (a command), the project only has to exist.

    `created_by` is the author of the memories. `source` is the source of the memories, unless they come from a file.
    Raises NotFound, Forbidden, InsufficientScope.
    """
    lock_project_shared(session, project_id)
    require_project_for(session, principal, project_id, Action.WRITE)
    new = Import(project_id=project_id, created_by=created_by, source=source)
    session.add(new)
    session.flush()
    return new.id


def stage(
    session: Session,
    _principal: Principal | None,
    import_id: str,
    lines: Sequence[NumberedLine],
    index: Index,
    on_duplicate: OnDuplicate = OnDuplicate.SKIP,
) -> Imported:
    """Keep the lines with their vectors, except those that have expired or already exist.

    Raises ImportEnded, QuotaExceeded.
    """
    live = [(number, line) for number, line in lines if line.expires_at is None or line.expires_at > now()]
    expired = len(lines) - len(live)
    lines = without_known(session, import_id, live) if on_duplicate is OnDuplicate.SKIP else live
    counts = Imported(len(lines), len(live) - len(lines), expired)
    if not lines:
        _touch(session, import_id)
        return counts
    embedded = embed(session, index, [embedding_input(line.content, line.metadata) for _, line in lines])
    parts: list[StagedMemory] = []
    new: list[Staged] = []
    for (number, whole), result in zip(lines, embedded, strict=True):
        line, history = histories.split(dated(whole))
        new.append(Staged(number * histories.ROWS_PER_LINE, line, memory_of(line), result))
        parts += histories.staged_rows(import_id, new[-1].position, new[-1].memory.id, history)
    keep(session, import_id, new)
    for part in parts:
        end_turn(session)
        _touch(session, import_id)
        session.add(part)
    return counts


def keep(session: Session, import_id: str, staged: Sequence[Staged]) -> None:
    """Keep memories with their vectors. Raises the errors of `stage`."""
    row = _touch(session, import_id)
    row.memory_count += len(staged)
    row.memory_bytes += sum(size_of_memory(new.memory) for new in staged)
    require_room(session, row.project_id, row.memory_count, row.memory_bytes)
    session.add_all(
        StagedMemory(
            import_id=import_id,
            position=new.position,
            memory_id=new.memory.id,
            line=new.line.model_dump_json(),
            content_hash=new.memory.content_hash,
            spans=[list(span) for span in new.embedded.spans],
            embedding_model=new.embedded.model,
            vectors=np.ascontiguousarray(new.embedded.vectors, "<f4").tobytes(),
        )
        for new in staged
    )


def commit(session: Session, principal: Principal | None, import_id: str) -> None:
    """Decide that all staged lines will be stored. Raises the errors of `accept`."""
    project, count = accept(session, principal, import_id)
    activity.note(session, principal, project.id, ActivityKind.IMPORT, count=count, import_id=import_id)
    audit.record_memories(session, Event.MEMORIES_IMPORTED, principal, project, count)


def accept(session: Session, principal: Principal | None, import_id: str) -> tuple[Project, int]:
    """Decide that all staged memories will be stored. Return the project and their number.

    Raises ImportEnded, QuotaExceeded, and the errors of `begin`, because rights may have changed since then.
    """
    row = _touch(session, import_id)
    project = require_project_for(session, principal, row.project_id, Action.WRITE)
    require_room(session, row.project_id, row.memory_count, row.memory_bytes)
    row.committed_at = now()
    return project, row.memory_count


def publish(session: Session, _principal: Principal | None, import_id: str) -> bool:
    """Move the next staged lines of a committed import into the project. Return whether there may be more."""
    row = locked_work(session, Import, import_id)
    if row is None or row.committed_at is None:  # published by another process, or deleted with its project
        return False
    row.touched_at = now()
    if unfinished := publishing.wordless(session, import_id):
        position = -1 - unfinished.position
        if not publishing.unstage(session, import_id, position, position):
            _publish_words(session, import_id, unfinished)
        return True
    if moves.arrive(session, row) or histories.store_next(session, import_id):
        return True
    entries = publishing.next_entries(session, import_id)
    if not entries:
        session.execute(sa.delete(Import).where(col(Import.id) == import_id))
        return False
    if publishing.is_long(entries):
        end_turn(session)  # reading alone may take a third of the time that a transaction may take
        row = locked_work(session, Import, import_id)
        if row is None or not publishing.are_next(session, import_id, entries):
            return True  # another process has stored it
    publishing.store(session, row, entries)
    return True


def discard(session: Session, _principal: Principal | None, import_id: str) -> bool:
    """Delete some staged lines of an uncommitted import, and the import itself once none are left.

    Return whether there may be more.
    """
    row = locked_work(session, Import, import_id)
    if row is None or row.committed_at is not None:
        return False
    if chunks.delete_some(session, _staged, _staged.c.import_id == import_id):
        return True
    session.execute(sa.delete(Import).where(col(Import.id) == import_id))
    return False


def finish(session: Session, import_id: str) -> None:
    """Commit the transaction, and publish all of a committed import, in turns. Raises OperationalError, TimeoutError.

    If it raises, housekeeping publishes the rest.
    """
    end_turn(session)
    while publish(session, None, import_id):
        end_turn(session)


def finish_project(session: Session, project_id: str) -> None:
    """Publish everything that is committed in the project. This may end the transaction. Raises the errors of
    `finish`.
    """
    for import_id in committed_in(session, None, project_id):
        finish(session, import_id)


def discard_all(session: Session, import_id: str) -> None:
    """Roll back the transaction, and delete the rows of an uncommitted import that earlier transactions staged."""
    session.rollback()
    while discard(session, None, import_id):
        end_turn(session)
    session.commit()


def committed_in(session: Session, _principal: Principal | None, project_id: str) -> Sequence[str]:
    """Return the imports that are committed and not all published, in the order in which they were committed.

    An import that skips a line because another one has it is complete only when both are published.
    """
    committed = (col(Import.project_id) == project_id, col(Import.committed_at).is_not(None))
    return session.scalars(sa.select(col(Import.id)).where(*committed).order_by(col(Import.committed_at))).all()


def in_chunks(lines: Iterable[Line]) -> Iterator[list[NumberedLine]]:
    """Yield the lines with their positions, as many as one staging transaction takes. Raises the errors of reading the
    lines.
    """

    def weigh(numbered: NumberedLine) -> int:
        return weight_of(numbered[1].content, history_length=histories.length_of(numbered[1].history))

    return portions(enumerate(lines, 1), weigh, STAGED_WEIGHT)


def import_memories(
    database: Database,
    project_id: str,
    lines: Iterable[Line],
    index: Index,
    progress: Progress = no_progress,
    on_duplicate: OnDuplicate = OnDuplicate.SKIP,
    activity_days: int = 0,
) -> Imported:
    """Import all lines or none, and return when all can be found. For commands: blocks.

    No lock is held while lines are read. Calls `progress` after each chunk with the number of memories that were read.
    Raises NotFound, ImportEnded, QuotaExceeded, and Invalid with the place of the first invalid line.
    """
    with database.write() as session:
        import_id = begin(session, None, project_id)
    counts = [Imported()]
    try:
        for chunk in in_chunks(lines):
            with database.write() as session:
                counts.append(stage(session, None, import_id, chunk, index, on_duplicate))
            progress(len(chunk))
        with database.write() as session:
            commit(session, None, import_id)
            activity.store_noted(session, activity_days)
    finally:
        with database.write() as session:
            discard_all(session, import_id)  # does nothing after the commit
    with database.write() as session:
        finish_project(session, project_id)
    return Imported(*map(sum, zip(*counts, strict=True)))


def _publish_words(session: Session, import_id: str, unfinished: Wordless) -> None:
    """Cut the text into terms first, because a megabyte takes 0.4 s."""
    stored = publishing.text_of(session, unfinished)
    if stored is None:  # the memory is gone, or another import owes the words of its new text
        publishing.unstage(session, import_id, unfinished.position, unfinished.position)
        return
    with paused(session):
        terms = memory_terms(*stored)
    if locked_work(session, Import, import_id) is not None:  # else it is finished, or its project is gone
        publishing.write_words(session, import_id, unfinished, words_beside(stored[1]), terms)


def _touch(session: Session, import_id: str) -> Import:
    """Return the import that is not committed yet. Raises ImportEnded if housekeeping discarded it, or its project is
    gone.
    """
    row = locked_work(session, Import, import_id)
    if row is None or row.committed_at is not None:
        raise ImportEnded
    row.touched_at = now()
    return row
