"""Reads vectors from SQL for exact scanning; projects' matrices are kept, a bounded number of bytes, and refreshed."""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import sqlalchemy as sa
from sqlmodel import Session

from server.database import as_json, is_sqlite, numbers_in
from server.index.exact.matrix import Centre, Matrix, PieceRow, Scan
from server.models import Project, metadata

CACHE_BYTES = 128 << 20
LARGE_PROJECT_BYTES = 256 << 20
"""A project that has outgrown exact scanning is kept, up to so many bytes, until its collection is built."""

PRUNE_AT_ONCE_MEMORIES = 5_000
"""Up to so many memories, a matrix forgets deleted ones at once; a larger one when they are one in a hundred."""

PART_MEMORIES = 2_000
"""Memories that are read at once of a project that is not kept."""

_memories, _pieces = metadata.tables["memories"], metadata.tables["pieces"]


Query = sa.Select[int, int | None, int | None, bytes | None]
_PIECES = (
    sa.select(_memories.c.number, _pieces.c.start, _pieces.c.end, _pieces.c.vector)
    .select_from(
        _memories.outerjoin(
            _pieces,
            sa.and_(
                _pieces.c.memory_number == _memories.c.number,
                _memories.c.embedding_model == sa.bindparam("model"),
            ),
        )
    )
    .order_by(_memories.c.number, _pieces.c.position)
)
_CHANGED = _PIECES.where(
    _memories.c.project_id == sa.bindparam("project"), _memories.c.revision > sa.bindparam("revision")
)


@cache  # putting it together takes longer than running it
def _by_number(sqlite: bool) -> Query:
    return _PIECES.where(_memories.c.number.in_(numbers_in(sqlite, sa.bindparam("numbers", type_=sa.String))))


@dataclass(slots=True)
class _CachedMatrix:
    """A project's matrix as of its counters; the lock is held while it is refreshed."""

    refreshing: threading.Lock = field(default_factory=threading.Lock)
    revision: int = -1
    removals: int = 0
    scan: Scan | None = None


class MatrixCache:
    """Scans of projects' vectors of one model. Safe for threads; what is handed out never changes."""

    def __init__(
        self, model: str, dimensions: int, most_bytes: int = CACHE_BYTES, alone_bytes: int = LARGE_PROJECT_BYTES
    ) -> None:
        self._model, self._dimensions = model, dimensions
        self._most_bytes, self._alone_bytes = most_bytes, alone_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _CachedMatrix] = OrderedDict()

    def fits(self, piece_count: int) -> bool:
        """Whether a project of so many pieces can be kept."""
        return piece_count * self._dimensions * 4 <= self._alone_bytes

    def of_project(self, session: Session, project: Project) -> Scan:
        """All vectors of a project (that `fits`), as of the session's snapshot or later."""
        with self._lock:
            kept = self._kept.setdefault(project.id, _CachedMatrix())
            self._kept.move_to_end(project.id)
        with kept.refreshing:
            scan = self._refreshed(session, project, kept)
        self._evict()
        return scan

    def release(self, project_id: str) -> None:
        """The project is not scanned any more."""
        with self._lock:
            self._kept.pop(project_id, None)

    def of_memories(self, session: Session, numbers: Sequence[int], centre: Centre) -> Scan:
        """The vectors of these memories, read now."""
        return Scan.of(self._of_numbers(session, numbers), centre)

    def part_after(self, session: Session, project_id: str, number: int) -> tuple[Matrix, int] | None:
        """The vectors of the project's next memories after this one, and the last of them; None at the end."""
        own = _memories.c
        following = sa.select(own.number).where(own.project_id == project_id, own.number > number)
        part = session.scalars(following.order_by(own.number).limit(PART_MEMORIES)).all()
        if not part:
            return None
        return self._of_numbers(session, part), part[-1]

    def in_parts(self, session: Session, project_id: str) -> Iterator[Matrix]:
        """All vectors of a project, however many, some at a time."""
        last = 0
        while part := self.part_after(session, project_id, last):
            matrix, last = part
            yield matrix

    def _refreshed(self, session: Session, project: Project, kept: _CachedMatrix) -> Scan:
        if kept.scan is not None and kept.revision >= project.revision and not self._must_prune(project, kept):
            return kept.scan
        matrix = kept.scan.matrix if kept.scan else Matrix.of([], self._dimensions)
        rows = self._rows(session, _CHANGED, project=project.id, revision=kept.revision)
        changed = np.unique(np.fromiter((row[0] for row in rows), np.int64, len(rows)))
        new = Matrix.of(rows, self._dimensions)
        if kept.scan is not None and kept.removals < project.removals:
            own = session.scalars(sa.select(_memories.c.number).where(_memories.c.project_id == project.id)).all()
            changed = np.union1d(changed, np.setdiff1d(matrix.numbers, np.asarray(own, np.int64)))
        matrix = matrix.with_changes(new, changed)
        kept.scan = Scan.of(matrix, Centre.of(matrix.vectors))
        kept.revision, kept.removals = max(kept.revision, project.revision), max(kept.removals, project.removals)
        return kept.scan

    def _must_prune(self, project: Project, kept: _CachedMatrix) -> bool:
        """What is deleted never comes back from SQL, so that only the room it takes matters."""
        removed = project.removals - kept.removals
        return removed > 0 and (project.memory_count <= PRUNE_AT_ONCE_MEMORIES or removed * 100 > project.memory_count)

    def _of_numbers(self, session: Session, numbers: Sequence[int]) -> Matrix:
        rows = self._rows(session, _by_number(is_sqlite(session)), numbers=as_json(numbers))
        return Matrix.of(rows, self._dimensions)

    def _rows(self, session: Session, query: Query, **given: str | int) -> Sequence[PieceRow]:
        """The pieces of this model of the chosen memories; a memory without has a row without a vector."""
        found = session.connection().execute(query, {"model": self._model, **given})
        return list(found.cursor.fetchall())  # tuples: there may be thousands

    def _evict(self) -> None:
        """Let go of what was not used for longest; one project that is too large for the others' room has its own."""
        with self._lock:
            sizes = {name: kept.scan.matrix.room.nbytes for name, kept in self._kept.items() if kept.scan}
            largest = max(sizes.values(), default=0)
            total = sum(sizes.values()) - (largest if largest > self._most_bytes else 0)
            while total > self._most_bytes and len(self._kept) > 1:
                name, _ = self._kept.popitem(last=False)
                total -= sizes.get(name, 0)
