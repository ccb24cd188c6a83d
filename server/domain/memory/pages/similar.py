"""Finds memories that say nearly the same thing, by their stored vectors. No model is needed."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.access import Action, require_memory, require_project
from server.domain.memory.budget import WITHOUT_MESSAGES
from server.domain.memory.filters import Filters, conditions
from server.index import Index
from server.index.question import Candidates
from server.index.types import Numbers, Vectors
from server.models import Memory, Piece, Project
from server.principal import Principal

MOST_COMPARED = 1_000
"""How many memories to compare. Every pair is compared, so the work grows with the square of this number."""

MOST_PIECES = 20
"""How many pieces of a memory to read. The beginning of a long text stands for all of it."""

NEARLY_EQUAL = 0.88
"""The lowest cosine of two texts that say nearly the same thing."""

MOST_GROUPS = 20
MOST_IN_GROUP = 10
RELATED = 0.45
"""The lowest similarity, as searches compute it, at which memories count as related."""

_NO_NUMBERS: Numbers = np.empty(0, np.int64)


class Group(NamedTuple):
    """Memories that say nearly the same thing, newest first.

    `closeness` is the lowest cosine between two texts that joined the group.
    """

    memories: Sequence[Memory]
    closeness: float


class Comparison(NamedTuple):
    """The result of comparing `compared` memories.

    Pass `oldest` as `before` to continue; None if there is nothing older.
    """

    groups: Sequence[Group]
    compared: int
    oldest: str | None


def near_duplicates(session: Session, principal: Principal, project_id: str, before: str | None = None) -> Comparison:
    """Compare the newest memories, or those older than `before`, with each other. Raises the errors of
    `require_project`.

    A group has only memories of one end user.
    """
    project = require_project(session, principal, project_id, Action.READ)
    query = sa.select(col(Memory.number), col(Memory.id), col(Memory.user_id), col(Memory.embedding_model))
    query = query.where(*conditions(Filters(), project.id), col(Memory.piece_count) > 0)
    if before is not None:
        query = query.where(col(Memory.id) < before)
    rows = session.execute(query.order_by(col(Memory.id).desc()).limit(MOST_COMPARED + 1)).all()
    compared_rows = rows[:MOST_COMPARED]
    oldest = compared_rows[-1][1] if len(rows) > MOST_COMPARED else None
    spaces: dict[tuple[str | None, str], list[int]] = defaultdict(list)
    for position, (_, _, user_id, model) in enumerate(compared_rows):
        spaces[user_id, model].append(position)
    numbers = [row[0] for row in compared_rows]
    cosines = _cosines(_means(session, numbers), numbers, list(spaces.values()))
    return Comparison(_groups(session, numbers, cosines), len(compared_rows), oldest)


def similar_to(session: Session, principal: Principal, memory_id: str, index: Index, limit: int) -> list[Memory]:
    """Return the memories of the project that are most similar to this one, most similar first. Raises NotFound."""
    memory = require_memory(session, principal, memory_id, Action.READ)
    project = session.get_one(Project, memory.project_id)
    means = _means(session, [memory.number])
    if not means:
        return []
    question = index.question_of(session, project, memory.embedding_model, means[memory.number])
    similar_memories = index.find_similar(session, project, question, Candidates(None, _NO_NUMBERS, limit + 1))
    best = sorted(
        zip(similar_memories.similarities.tolist(), similar_memories.numbers.tolist(), strict=True), reverse=True
    )
    numbers = [number for similarity, number in best[: limit + 1] if similarity >= RELATED and number != memory.number]
    return _in_order(session, project.id, numbers[:limit]) if numbers else []


def _cosines(means: dict[int, Vectors], numbers: Sequence[int], spaces: Sequence[Sequence[int]]) -> Vectors:
    """Return the cosine of each two memories of a space, at their positions in `numbers`; 0 for all other pairs."""
    cosines = np.zeros((len(numbers), len(numbers)), np.float32)
    for space in spaces:
        positions = [position for position in space if numbers[position] in means]
        if len(positions) > 1:
            vectors: Vectors = np.stack([means[numbers[position]] for position in positions])
            cosines[np.ix_(positions, positions)] = vectors @ vectors.T
    return np.triu(cosines, k=1)


def _means(session: Session, numbers: Sequence[int]) -> dict[int, Vectors]:
    """Return one vector for each memory: the mean of its first pieces, with unit length."""
    query = sa.select(col(Piece.memory_number), col(Piece.vector))
    query = query.where(col(Piece.memory_number).in_(numbers), col(Piece.position) < MOST_PIECES)
    vectors: dict[int, list[Vectors]] = defaultdict(list)
    for number, vector in session.execute(query):
        vectors[number].append(np.frombuffer(vector, "<f4"))
    sums = {number: np.sum(parts, axis=0) for number, parts in vectors.items()}
    return {number: total / max(float(np.linalg.norm(total)), 1e-9) for number, total in sums.items()}


def _groups(session: Session, numbers: Sequence[int], cosines: Vectors) -> list[Group]:
    """Group the closest pairs with the memories near them, closest first. A memory is in one group.

    Each step takes the closest pair that is left and adds a memory to a group, so there are few steps even if all
    memories are the same.
    """
    groups: list[list[int]] = []
    closeness: list[float] = []
    while (pair := _closest(cosines, groups)) and pair[0] >= NEARLY_EQUAL:
        cosine, first, second = pair
        place = next((place for place, group in enumerate(groups) if {first, second} & {*group}), len(groups))
        if place == len(groups):
            groups.append([])
            closeness.append(cosine)
        groups[place] += [position for position in (first, second) if position not in groups[place]]
        closeness[place] = min(closeness[place], cosine)
        _leave_out(cosines, groups)
    order = sorted(range(len(groups)), key=lambda place: -closeness[place])
    return [
        Group(_newest_first(session, [numbers[position] for position in groups[place]]), closeness[place])
        for place in order
    ]


def _closest(cosines: Vectors, groups: Sequence[Sequence[int]]) -> tuple[float, int, int] | None:
    """Return the cosine and the positions of the closest pair that may begin a group or join one."""
    if not cosines.size:
        return None
    if len(groups) == MOST_GROUPS:
        ungrouped = np.setdiff1d(np.arange(len(cosines)), [position for group in groups for position in group])
        cosines = cosines.copy()
        cosines[np.ix_(ungrouped, ungrouped)] = 0
    first, second = divmod(int(cosines.argmax()), len(cosines))
    return float(cosines[first, second]), first, second


def _leave_out(cosines: Vectors, groups: Sequence[Sequence[int]]) -> None:
    """Set the pairs that can join no group any longer to 0: those of grouped memories, and those with a full group."""
    grouped = [position for group in groups for position in group]
    cosines[np.ix_(grouped, grouped)] = 0
    full = [position for group in groups if len(group) >= MOST_IN_GROUP for position in group]
    cosines[full, :] = cosines[:, full] = 0


def _newest_first(session: Session, numbers: Sequence[int]) -> list[Memory]:
    query = sa.select(Memory).where(col(Memory.number).in_(numbers)).options(WITHOUT_MESSAGES)
    return list(session.scalars(query.order_by(col(Memory.id).desc())))


def _in_order(session: Session, project_id: str, numbers: Sequence[int]) -> list[Memory]:
    query = sa.select(Memory).where(*conditions(Filters(), project_id), col(Memory.number).in_(numbers))
    memories_by_number = {memory.number: memory for memory in session.scalars(query.options(WITHOUT_MESSAGES))}
    return [memories_by_number[number] for number in numbers if number in memories_by_number]
