"""Tells people about a project's embedding model."""

from typing import NamedTuple

from sqlmodel import Session

from server.domain.access import Action, require_project
from server.index.model import languages
from server.index.upkeep import reembedding, rewriting, survey
from server.index.upkeep.survey import SurveyCounts
from server.principal import Principal
from server.settings import Settings


class ModelNotes(NamedTuple):
    """`models` names the models that made the server's vectors; `work` is a job and its progress. `lack` says what
    memories lack until the job is done, if searches find less for it.

    `advice` names the setting to change if the model does not suit the languages of much of the project.
    """

    models: list[str]
    work: str | None
    advice: str | None
    lack: str | None


def of_project(session: Session, principal: Principal, project_id: str, settings: Settings) -> ModelNotes:
    """Return what the index's worker counted last."""
    project = require_project(session, principal, project_id, Action.READ)
    counts = survey.read(session)
    advice = languages.advice(settings) if survey.is_misread(session, project.id) else None
    models = [name for name in counts.models if name != survey.NO_MODEL]
    return ModelNotes(models, counts.work, advice, _lack(counts))


def _lack(counts: SurveyCounts) -> str | None:
    work = counts.work or ""
    if work.startswith(rewriting.WORK):
        return "The server is writing the keywords of all memories again"
    if not work.startswith(reembedding.WORK):
        return None
    if survey.NO_MODEL in counts.models and len(counts.models) <= 2:
        return "The server is preparing memories for searches by meaning"
    return "The server is preparing all memories for another search model"
