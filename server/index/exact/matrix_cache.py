"""Reads vectors from SQL for exact scanning, and caches projects' matrices up to a number of bytes."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import sqlalchemy as sa
from sqlmodel import Session

from server.index.exact.matrix import Matrix, Scan, SimilarMemories
from server.index.exact.stored_pieces import StoredPieces
from server.index.types import Numbers, Space, Vector
from server.machine.resources import memory_bytes
from server.models import Project, metadata
from server.storage import chunks
from server.storage.statements import Query, Row, as_json, numbers_in

LEAST_BYTES, MOST_BYTES = 128 << 20, 1 << 30
MEMORY_SHARE = 1 / 32
"""The caches of all workers may take this share of the machine's memory, within these limits."""

LARGE_PROJECT_BYTES = 256 << 20
"""A project that is too large for exact scanning is cached until its collection is built, if its vectors are no larger
than this in SQL. The cache holds a quarter of it.
"""

ENTRY_BYTES = 4096
"""How many bytes a cached project takes in addition to its vectors: objects, a lock, small arrays."""

MAX_PROJECTS = 20_000
"""Maximum number of cached projects, even small ones, because the garbage collector visits each."""

PRUNE_AT_ONCE_MEMORIES = 5_000
"""Up to this many memories, a matrix drops deleted ones at once. A larger one drops them when they exceed 1 %."""

PART_MEMORIES = 2_000
"""How many memories to read at a time, at most, if a project is too large to cache."""

PART_PIECES = 20_000
"""How many of their pieces to read at a time, 30 MB of vectors, unless a single memory has more."""

MOST_IN_PARTS = 50_000
"""How many memories a search reads in parts, at most: the newest. Reading a million takes longer than a request may."""

_memories = metadata.tables["memories"]
_pieces = metadata.tables["pieces"]

_PIECES = (
    sa.select(_memories.c.number, _memories.c.place)
    .add_columns(_pieces.c.position, _pieces.c.start, _pieces.c.end, _pieces.c.is_question, _pieces.c.vector)
    .select_from(
        _memories.outerjoin(
            _pieces,
            sa.and_(
                _pieces.c.memory_number == _memories.c.number,
                _memories.c.embedding_model == sa.bindparam("model"),
            ),
        )
    )
)
_CHANGED = Query(
    _PIECES.where(_memories.c.project_id == sa.bindparam("project"), _memories.c.revision > sa.bindparam("revision")),
    is_plain=True,
)
_BY_NUMBER = Query(_PIECES.where(_memories.c.number.in_(numbers_in("numbers"))), is_plain=True)


def exact_limit(wanted: int, space: Space) -> int:
    """Return up to how many vectors a project is scanned exactly: as many as `wanted`, if they can be cached."""
    return min(wanted, LARGE_PROJECT_BYTES // (4 * max(space.dimensions, 1)))


def cache_bytes_of(workers: int) -> int:
    """Return how large the cache of each worker may be."""
    of_all = min(int(memory_bytes() * MEMORY_SHARE), MOST_BYTES)
    return max(of_all // workers, LEAST_BYTES)


@dataclass(slots=True)
class _CachedMatrix:
    """A project's matrix, with the counters at which it was read. Hold the lock while refreshing it."""

    refreshing: threading.Lock = field(default_factory=threading.Lock)
    epoch: int = 0
    revision: int = -1
    removals: int = 0
    scan: Scan | None = None
    counted_bytes: int = 0
    """This project's share of the cache's total."""


class MatrixCache:
    """Caches scans of projects' vectors from one model. Thread-safe; a returned scan never changes."""

    def __init__(self, space: Space, cache_bytes: int = LEAST_BYTES) -> None:
        self._space = space
        self._cache_bytes = cache_bytes
        self._large_project_bytes = LARGE_PROJECT_BYTES
        self._lock = threading.Lock()
        self._cached: OrderedDict[str, _CachedMatrix] = OrderedDict()
        self._total_bytes = 0
        self._oversized: str | None = None
        """A project that exceeds the cache by itself and is kept anyway. Its vectors are not counted."""

    @property
    def mean(self) -> Vector:
        """The mean of the model's vectors."""
        return self._space.mean

    def fits(self, piece_count: int) -> bool:
        """Return whether a project with this many pieces can be cached."""
        return piece_count * self._space.dimensions * 4 <= self._large_project_bytes

    def scan_project(self, session: Session, project: Project) -> Scan:
        """Return all vectors of a project that `fits`, as of the session's snapshot or later. The project's counters
        show what other processes have changed since the last scan, and only that is read again.
        """
        with self._lock:
            cached = self._cached.setdefault(project.id, _CachedMatrix())
            self._cached.move_to_end(project.id)
        with cached.refreshing:
            scan = self._refresh(session, project, cached)
        with self._lock:
            if self._cached.get(project.id) is cached:  # still cached
                self._count(project.id, cached)
                self._evict()
        return scan

    def forget(self, project_id: str) -> None:
        with self._lock:
            self._drop(project_id)

    def scan_memories(self, session: Session, numbers: Sequence[int], mean: Vector) -> Scan:
        """Read the vectors of these memories."""
        return Scan.of(Matrix.of(self.read_memories(session, numbers)), mean)

    def scan_in_parts(
        self, session: Session, project_id: str, question: Vector, mean: Vector, also: Numbers, wanted: int
    ) -> SimilarMemories:
        """Read the newest memories of a project of any size in parts. Keep the best of each part, and all of `also`."""
        best: list[tuple[float, int]] = []
        last = before = _last_before_newest(session, project_id)
        while part := self.read_part(session, project_id, last):
            pieces, last = part
            similar = Scan.of(Matrix.of(pieces), mean).compare(question)
            best += zip(similar.similarities.tolist(), similar.numbers.tolist(), strict=True)
            best = sorted(best, reverse=True)[:wanted]
        numbers = sorted({*(number for _, number in best), *also.tolist()})
        scan = self.scan_memories(session, numbers, mean)
        return scan.compare(question, complete=len(best) < wanted and not before)

    def read_part(
        self, session: Session, project_id: str, after: int, most_pieces: int | None = None
    ) -> tuple[StoredPieces, int] | None:
        """Read the project's next memories above the number `after`. Return the last number, or None at the end."""
        columns = _memories.c
        query = sa.select(columns.number, columns.piece_count).where(columns.project_id == project_id)
        following = query.where(columns.number > after).order_by(columns.number).limit(PART_MEMORIES)
        rows = session.execute(following).all()
        numbers = [row.number for row in chunks.first_of(rows, lambda row: row.piece_count, most_pieces or PART_PIECES)]
        return (self.read_memories(session, numbers), numbers[-1]) if numbers else None

    def _refresh(self, session: Session, project: Project, cached: _CachedMatrix) -> Scan:
        if cached.epoch != project.epoch:  # the database was replaced, so its counters say nothing about this matrix
            cached.epoch, cached.revision, cached.removals, cached.scan = project.epoch, -1, 0, None
        if cached.scan is not None and cached.revision >= project.revision and not _must_prune(project, cached):
            return cached.scan
        rows = self._read_rows(session, _CHANGED, project=project.id, revision=cached.revision)
        changed = np.unique(np.fromiter((row[0] for row in rows), np.int64, len(rows)))
        matrix = Matrix.of(StoredPieces.from_rows(rows, self._space.dimensions))
        if cached.scan is not None:
            if cached.removals < project.removals:
                of_project = sa.select(_memories.c.number).where(_memories.c.project_id == project.id)
                stored = np.asarray(session.scalars(of_project).all(), np.int64)
                changed = np.union1d(changed, np.setdiff1d(cached.scan.matrix.numbers, stored))
            matrix = cached.scan.matrix.with_changes(matrix, changed)
        cached.scan = Scan.of(matrix, matrix.mean(self.mean))
        cached.revision = max(cached.revision, project.revision)
        cached.removals = max(cached.removals, project.removals)
        return cached.scan

    def read_memories(self, session: Session, numbers: Sequence[int]) -> StoredPieces:
        """Return the pieces of these memories."""
        rows = self._read_rows(session, _BY_NUMBER, numbers=as_json(numbers))
        return StoredPieces.from_rows(rows, self._space.dimensions)

    def _read_rows(self, session: Session, query: Query, **parameters: str | int) -> Sequence[Row]:
        """Return a row for each piece with a vector of this model, and one empty row for a memory without any."""
        return query.rows(session, model=self._space.name, **parameters)

    def _count(self, project_id: str, cached: _CachedMatrix) -> None:
        """Update the total. Only one project may exceed the cache by itself: a second one replaces it."""
        size = cached.scan.matrix.buffer.nbytes if cached.scan else 0
        if size > self._cache_bytes:
            if self._oversized is not None and self._oversized != project_id:
                self._drop(self._oversized)
            self._oversized, size = project_id, 0
        elif self._oversized == project_id:
            self._oversized = None
        self._total_bytes += ENTRY_BYTES + size - cached.counted_bytes
        cached.counted_bytes = ENTRY_BYTES + size

    def _evict(self) -> None:
        """Drop the least recently used projects until the rest fits."""
        while len(self._cached) > 1 and (self._total_bytes > self._cache_bytes or len(self._cached) > MAX_PROJECTS):
            self._drop(next(iter(self._cached)))

    def _drop(self, project_id: str) -> None:
        cached = self._cached.pop(project_id, None)
        self._total_bytes -= cached.counted_bytes if cached else 0
        if self._oversized == project_id:
            self._oversized = None


def _last_before_newest(session: Session, project_id: str) -> int:
    """Return the number of the last memory that is too old to be read in parts, or 0."""
    newest_first = sa.select(_memories.c.number).where(_memories.c.project_id == project_id)
    return session.scalar(newest_first.order_by(_memories.c.number.desc()).offset(MOST_IN_PARTS).limit(1)) or 0


def _must_prune(project: Project, cached: _CachedMatrix) -> bool:
    """Return whether deleted memories take too much space. SQL leaves them out of results in any case."""
    removed = project.removals - cached.removals
    return removed > 0 and (project.memory_count <= PRUNE_AT_ONCE_MEMORIES or removed * 100 > project.memory_count)
