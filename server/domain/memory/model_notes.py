"""Tells people about a project's embedding model."""

from typing import NamedTuple

from sqlmodel import Session

from server.domain.access import Action, require_project
from server.index.model import languages
from server.index.upkeep import survey
from server.principal import Principal
from server.settings import Settings


class ModelNotes(NamedTuple):
    """`models` names the models that made the server's vectors; `work` is a job and its progress. `is_changing` says
    that the job gives memories the vectors of another model.

    `advice` names the setting to change if the model does not suit the languages of much of the project.
    """

    models: list[str]
    work: str | None
    advice: str | None
    is_changing: bool


def of_project(session: Session, principal: Principal, project_id: str, settings: Settings) -> ModelNotes:
    """Return what the index's worker counted last."""
    project = require_project(session, principal, project_id, Action.READ)
    counts = survey.read(session)
    advice = languages.advice(settings) if survey.is_misread(session, project.id) else None
    models = [name for name in counts.models if name != survey.NO_MODEL]
    return ModelNotes(models, counts.work, advice, is_changing=counts.work is not None and len(counts.models) > 1)
