"""Applies the changes of memories to Chroma's collections."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa
from sqlmodel import Session

from server.index import outbox
from server.index.center import without_mean
from server.index.chroma.collections import Collection
from server.index.exact.matrix_cache import MatrixCache
from server.index.exact.stored_pieces import StoredPieces
from server.index.upkeep import due
from server.index.upkeep.due import Task
from server.index.upkeep.leases import LeaseLost
from server.models import metadata
from server.models.base import was_within
from server.storage import chunks
from server.storage.database import Database

if TYPE_CHECKING:
    from server.index.chroma.client import Chroma

CHROMA_BATCH = 32
"""Rows per write to Chroma, which holds the GIL while it writes."""

TASK_BATCH = 256
"""Maximum number of tasks that are applied at a time."""

PIECES = 2_000
"""Maximum number of pieces of the tasks' memories, unless a single memory has more."""

GATHER_SECONDS = 1.0
"""How long to gather changes before writing them to Chroma."""

_indexes = metadata.tables["project_indexes"]
_tasks = metadata.tables["index_tasks"]

Between = Callable[[], None]
"""A function to call between two writes to Chroma. It may raise, to end the work."""


def due_tasks(database: Database, mine: sa.ColumnElement[bool]) -> dict[str, list[Task]]:
    """Return the oldest tasks of projects of `mine`, by project, or none while there are only a few new ones."""
    with database.read() as session:
        rows = session.execute(due.applicable_tasks(mine).limit(TASK_BATCH)).all()
    is_full = len(rows) == TASK_BATCH
    by_project: dict[str, list[Task]] = defaultdict(list)
    if rows and (is_full or not was_within(rows[0].created_at, timedelta(seconds=GATHER_SECONDS))):
        for row in chunks.first_of(rows, lambda row: row[-1], PIECES):
            by_project[row.project_id].append(row)
    return by_project


def follow(
    database: Database,
    open_chroma: Callable[[], "Chroma"],
    matrices: MatrixCache,
    model: str,
    tasks: Sequence[Task],
    between: Between,
) -> None:
    """Apply the tasks of one project and clear them. Tasks may be repeated or reordered without harm.

    Raises ChromaFailed, LeaseLost and the errors of `between`.
    """
    project_id = tasks[0].project_id
    with database.read() as session:
        targets = _targets(session, project_id, model)
        pieces = matrices.read_memories(session, sorted({task.memory_number for task in tasks}) if targets else [])
    sizes = {task.memory_number: task.piece_count for task in tasks}
    with followed_again_if_lost(database, project_id, sizes, pieces):
        for target in targets:
            apply(open_chroma(), target, pieces, tasks, between)
        with database.write() as session:
            session.execute(sa.delete(_tasks).where(_tasks.c.number.in_([task.number for task in tasks])))


def apply(chroma: "Chroma", target: Collection, pieces: StoredPieces, tasks: Sequence[Task], between: Between) -> None:
    """Write the vectors of `pieces`, and erase the pieces that its memories no longer have."""
    sizes = dict(zip(pieces.numbers.tolist(), pieces.sizes.tolist(), strict=True))
    gone = {  # two changes of one memory may name the same piece, and Chroma refuses a repeated id
        (task.memory_number, position)
        for task in tasks
        for position in range(sizes.get(task.memory_number, 0), task.piece_count)
    }
    erased = sorted(gone)
    for start in range(0, len(erased), CHROMA_BATCH):
        chroma.erase_pieces(target.name, erased[start : start + CHROMA_BATCH], len(target.mean))
        between()
    put(chroma, target, pieces, between)


def put(chroma: "Chroma", target: Collection, pieces: StoredPieces, between: Between) -> None:
    ids, vectors = _piece_ids(pieces), without_mean(pieces.vectors, target.mean)
    for start in range(0, len(ids), CHROMA_BATCH):
        end = start + CHROMA_BATCH
        chroma.upsert(target.name, ids[start:end], vectors[start:end])
        between()


@contextmanager
def followed_again_if_lost(
    database: Database, project_id: str, sizes: Mapping[int, int], pieces: StoredPieces
) -> Iterator[None]:
    """If this process no longer owns these memories, make the new owner apply their changes again, because this process
    may have overwritten the new owner's vectors. Chroma knows no fences, and a process that was frozen may send data
    that it read earlier. `sizes` says how many pieces of some memories the collection held.
    """
    try:
        yield
    except LeaseLost:
        written = dict(zip(pieces.numbers.tolist(), pieces.sizes.tolist(), strict=True))
        counts = {number: max(sizes.get(number, 0), written.get(number, 0)) for number in {*sizes, *written}}
        with database.unguarded.write() as session:
            outbox.write_tasks(session, project_id, counts)
        raise


def _targets(session: Session, project_id: str, model: str) -> list[Collection]:
    """Return the project's collection if it is in use, and the one that is being built."""
    is_ours = sa.and_(_indexes.c.project_id == project_id, _indexes.c.embedding_model == model)
    row = session.execute(sa.select(_indexes).where(is_ours)).one_or_none()
    if row is None:
        return []
    names = [(row.collection, row.mean)] if row.ready_at is not None else []
    names += [(row.building, row.building_mean)] if row.building and row.building_mean else []
    return [Collection(name, np.frombuffer(mean, "<f4")) for name, mean in names]


def _piece_ids(pieces: StoredPieces) -> list[tuple[int, int]]:
    """Return the memory number and position of each row."""
    owners = np.repeat(pieces.numbers, pieces.sizes)
    positions = np.arange(len(owners)) - np.repeat(pieces.starts, pieces.sizes)
    return list(zip(owners.tolist(), positions.tolist(), strict=True))
