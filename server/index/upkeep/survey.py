"""Counts vectors by model, and finds projects whose languages the model does not suit, for `/health`, `doctor` and the
dashboard.
"""

import time
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import Session, col

from server.index.model import languages
from server.index.upkeep.progress import Progress
from server.models import IndexSurvey, Memory, Project, ProjectLanguages
from server.models.base import is_within, now, was_within
from server.models.projects import deleted_projects
from server.storage.database import Database
from server.storage.statements import count_rows

EVERY_SECONDS = 5.0
REST_FACTOR = 100
"""The pause after counting, as a multiple of the time that it took, because a large database takes longer to count."""

FRESH = timedelta(seconds=60)
"""Older progress is ignored, because it belongs to a server that has stopped."""

NEWEST = 200
"""How many of a project's newest memories to examine."""

PROJECTS_AT_A_TIME = 20
LEAST_OTHERS = 5
ONE_IN = 4
"""A project is misread if, of its memories whose language is recognized, at least one in this many is not in English.
"""

ONE_IN_ALL = 10
"""At least one in this many of all its memories must not be in English: in a project of lists and names, hardly any
memory shows its language.
"""

LOOK_AGAIN_AFTER = timedelta(hours=1)
"""How long to wait before examining a changed project again, unless it has doubled or halved."""

NO_MODEL = "none"


@dataclass(frozen=True, slots=True)
class SurveyCounts:
    """The last counts. `models` counts memories by the model of their vectors, "none" for those without any."""

    models: dict[str, int]
    misread_projects: int
    work: str | None


NOTHING_COUNTED = SurveyCounts({}, 0, None)


class Surveyor:
    """Counts for the worker, which calls `step` again and again."""

    def __init__(self, database: Database, *, only_english: bool) -> None:
        self._database = database
        self._only_english = only_english
        self._due = 0.0
        self._renewal = 0.0

    def step(self, progress: Progress | None) -> None:
        began, work = time.monotonic(), str(progress or "")
        if work and began >= self._renewal:
            self._renew(work)
        if began < self._due:
            return
        try:
            self._count(work)
        finally:
            ended = time.monotonic()
            self._due = ended + max(EVERY_SECONDS, REST_FACTOR * (ended - began))

    def _renew(self, work: str) -> None:
        """Store the work again before other processes take it for that of a server that has stopped."""
        self._renewal = time.monotonic() + FRESH.total_seconds() / 2
        with self._database.write() as session:
            session.execute(sa.update(IndexSurvey).values(work=work, counted_at=now()))

    def _count(self, work: str) -> None:
        with self._database.read() as session:
            models = count_models(session)
            known = session.get(IndexSurvey, 1)
        misread = 0
        if self._only_english:
            examine_projects(self._database)
            misread = count_misread(self._database)
        stored = (known.models, known.misread_projects, known.work) if known else ({}, 0, "")
        if stored != (models, misread, work):
            with self._database.write() as session:
                session.merge(IndexSurvey(models=models, misread_projects=misread, work=work))


def read(session: Session) -> SurveyCounts:
    """Return the last counts, whichever process made them."""
    row = session.get(IndexSurvey, 1)
    if row is None:
        return NOTHING_COUNTED
    models = {name or NO_MODEL: count for name, count in row.models.items()}
    work = row.work if row.work and was_within(row.counted_at, FRESH) else None
    return SurveyCounts(models, row.misread_projects, work)


def is_misread(session: Session, project_id: str) -> bool:
    """Return whether much of the project is not in English. Meaningless for a model that supports other languages."""
    found = session.get(ProjectLanguages, project_id)
    return found is not None and found.is_misread


def count_models(session: Session) -> dict[str, int]:
    """Count the memories by the model of their vectors, "" for those without any.

    Reads an index only, except for the memories of deleted projects, which do not count.
    """
    model = col(Memory.embedding_model)
    by_model = sa.select(model, sa.func.count()).group_by(model)
    counts = {name: count for name, count in session.execute(by_model)}  # noqa: C416 - a Row is no tuple for mypy
    for name, count in session.execute(by_model.where(col(Memory.project_id).in_(deleted_projects()))):
        counts[name] -= count
    return {name: count for name, count in counts.items() if count}


def examine_projects(database: Database) -> int:
    """Examine the languages of some projects that changed a lot. Return how many were examined."""
    with database.read() as session:
        looked = [_examine(session, project) for project in session.scalars(_due_projects())]
    if looked:
        with database.write() as session:
            ids = [one.project_id for one in looked]
            still_there = set(session.scalars(sa.select(col(Project.id)).where(col(Project.id).in_(ids))))
            for one in looked:
                if one.project_id in still_there:
                    session.merge(one)
    return len(looked)


def count_misread(database: Database) -> int:
    with database.read() as session:
        return count_rows(session, ProjectLanguages, col(ProjectLanguages.is_misread))


def _due_projects() -> sa.Select[Project]:
    count, counted = col(Project.memory_count), col(ProjectLanguages.memory_count)
    is_new = sa.and_(counted.is_(None), count >= LEAST_OTHERS)
    is_old = ~is_within(col(ProjectLanguages.counted_at), LOOK_AGAIN_AFTER)
    has_changed = sa.or_(col(Project.revision) > col(ProjectLanguages.revision), count != counted)
    changed_much = sa.or_(count >= 2 * counted, 2 * count <= counted)
    due = sa.or_(is_new, sa.and_(has_changed, sa.or_(changed_much, is_old)))
    known = sa.outerjoin(Project, ProjectLanguages, col(Project.id) == col(ProjectLanguages.project_id))
    return sa.select(Project).select_from(known).where(due).order_by(col(Project.id)).limit(PROJECTS_AT_A_TIME)


def _examine(session: Session, project: Project) -> ProjectLanguages:
    beginning = sa.func.substr(col(Memory.content), 1, languages.MOST_CHARACTERS)
    newest = sa.select(beginning).where(col(Memory.project_id) == project.id).order_by(col(Memory.id).desc())
    judged = [languages.is_english(text) for text in session.scalars(newest.limit(NEWEST))]
    english, others, unknown = judged.count(True), judged.count(False), judged.count(None)
    is_many = others >= LEAST_OTHERS and others * ONE_IN_ALL >= english + others + unknown
    return ProjectLanguages(
        project_id=project.id,
        memory_count=project.memory_count,
        revision=project.revision,
        english=english,
        others=others,
        is_misread=is_many and ONE_IN * others >= english + others,
    )
