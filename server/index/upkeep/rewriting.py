"""Writes the words of existing memories again, newest first: after a change of the tokenizer, or for `reindex`.

During the run, searches and changes work as usual. The database stores the progress, so that an interrupted run can
resume.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from server.index.upkeep import rebuild
from server.index.upkeep.progress import Progress
from server.index.words import tokenizer, word_index
from server.index.words.titles import memory_terms, words_beside
from server.models import WordIndexState, metadata
from server.storage import chunks
from server.storage.database import Database
from server.storage.statements import count_rows

MOST_MEMORIES = 100
"""Maximum number of memories whose words are written in one transaction."""

MOST_CHARACTERS = 100_000
"""Maximum total length of their texts. A longer text is written in a transaction of its own."""

WORK = "writing words"

Cut = Mapping[int, tuple[tuple[str, str], list[str]]]

_memories = metadata.tables["memories"]
_projects = metadata.tables["projects"]


def is_outdated(database: Database) -> bool:
    """Return whether some words may come from another version of the tokenizer."""
    with database.read() as session:
        state = session.get(WordIndexState, 1)
        return state is None or state.version != tokenizer.VERSION or state.outdated_below > 0


def mark_outdated(session: Session) -> None:
    """Mark the words of all memories for rewriting."""
    newest = session.scalar(sa.select(sa.func.max(_memories.c.number))) or 0
    session.merge(WordIndexState(version=tokenizer.VERSION, outdated_below=newest + 1))


def rewrite_all(database: Database) -> Iterator[Progress]:
    """Write the words of all memories."""
    with database.write() as session:
        mark_outdated(session)
    yield from rewrite_outdated(database)


def rewrite_outdated(database: Database) -> Iterator[Progress]:
    """Write the words that still come from another version, one chunk per step."""
    total, done = _count_outdated(database), 0
    while count := _rewrite_chunk(database):
        done += count
        yield Progress(WORK, done, max(total, done))


def _count_outdated(database: Database) -> int:
    with database.write() as session:
        state = session.get(WordIndexState, 1)
        if state is None or state.version != tokenizer.VERSION:
            mark_outdated(session)
            return count_rows(session, _memories)
        return count_rows(session, _memories, _memories.c.number < state.outdated_below)


def _rewrite_chunk(database: Database) -> int:
    """Write the words of the next memories. Return their number, 0 when all are done."""
    cut = _cut_next(database)
    with database.write() as session:
        state = session.get_one(WordIndexState, 1, with_for_update=True)
        chunk = _next_chunk(session, state.outdated_below)
        if state.outdated_below and not chunk:
            rebuild.begin_epoch(session)  # the places of memories have changed, and cached matrices hold the old ones
        state.outdated_below = chunk[-1] if chunk else 0
        for project_id, numbers in _locked(session, chunk).items():
            word_index.rewrite(session, project_id, numbers, _still_valid(session, numbers, cut))
        return len(chunk)


def _locked(session: Session, numbers: Sequence[int]) -> dict[str, list[int]]:
    """Lock these memories and then their projects, in the order of other writers, so that the words of an old text
    cannot overwrite those of a new one. Return the numbers of those that exist, by project.
    """
    memory, project = _memories.c, _projects.c
    rows = sa.select(memory.project_id, memory.number).where(memory.number.in_(numbers))
    by_project: dict[str, list[int]] = defaultdict(list)
    for project_id, number in session.execute(chunks.locked(rows)):
        by_project[project_id].append(number)
    homes = sa.select(project.id).where(project.id.in_(by_project)).order_by(project.id)
    session.execute(homes.with_for_update(key_share=True))
    return by_project


def _cut_next(database: Database) -> Cut:
    """Return what the words of the next memories come from, and their terms, by memory number. No transaction that
    writes waits for this.
    """
    with database.read() as session:
        state = session.get_one(WordIndexState, 1)
        numbers = _next_chunk(session, state.outdated_below)
        columns = _memories.c
        texts = sa.select(columns.number, columns.content_hash, columns.metadata, columns.content)
        rows = session.execute(texts.where(columns.number.in_(numbers))).all()
    return {row.number: (_origin(row), memory_terms(row.content, row.metadata)) for row in rows}


def _origin(row: sa.Row[Any]) -> tuple[str, str]:
    """Return what tells whether a memory still has the same words: the hash of its text, and the words beside it."""
    return row.content_hash, words_beside(row.metadata)


def _still_valid(session: Session, numbers: Sequence[int], cut: Cut) -> dict[int, list[str]]:
    """Return the terms of the memories that have not changed since they were cut."""
    columns = _memories.c
    origins = sa.select(columns.number, columns.content_hash, columns.metadata).where(columns.number.in_(numbers))
    return {
        row.number: cut[row.number][1]
        for row in session.execute(origins)
        if row.number in cut and cut[row.number][0] == _origin(row)
    }


def _next_chunk(session: Session, below: int) -> Sequence[int]:
    """Return the numbers of the next memories, newest first."""
    columns = _memories.c
    query = sa.select(columns.number, sa.func.length(columns.content))
    newest = query.where(columns.number < below).order_by(columns.number.desc()).limit(MOST_MEMORIES)
    chunk = chunks.first_of(session.execute(newest).all(), lambda row: row[1], MOST_CHARACTERS)
    return [number for number, _ in chunk]
