"""What `doctor` says about stored vectors and languages."""

import time

from server.database import Database, migrated
from server.health import advice_for
from server.index.model import languages
from server.index.upkeep import survey
from server.settings import Settings

LOOKING_SECONDS = 5.0
"""How long `doctor` looks at languages at most. A running server looks at the rest."""


def vectors(settings: Settings) -> str:
    """Say which model made how many vectors, and how far a server is that makes new ones."""
    with migrated(settings.database_url.get_secret_value()) as database, database.read() as session:
        models = survey.count_models(session)
        work = survey.read(session).work
    if not models:
        return "none yet"
    counts = ", ".join(f"{count:,} memories by {name or 'no model yet'}" for name, count in sorted(models.items()))
    if len(models) == 1 and "" not in models:
        return counts
    return f"{counts}; {work or 'a running server embeds them again with the model of the settings'}"


def language(settings: Settings) -> str:
    """Say whether the model reads the languages of the memories."""
    if languages.advice(settings) is None:
        return "the model is not one that reads English only"
    with migrated(settings.database_url.get_secret_value()) as database:
        misread = _count_misread(database)
    return advice_for(settings, misread) or "the model reads those of the memories"


def _count_misread(database: Database) -> int:
    ending = time.monotonic() + LOOKING_SECONDS
    while survey.look_at_projects(database) and time.monotonic() < ending:
        pass
    return survey.count_misread(database)
