"""The checks of `doctor` for stored vectors and for languages."""

import time

from server.commands.checks import Advice
from server.commands.existing import existing
from server.index.model import languages
from server.index.upkeep import survey
from server.plurals import count
from server.settings import Settings
from server.shell.health import advice_for
from server.storage.database import Database

LOOKING_SECONDS = 5.0
"""`doctor` examines languages for at most this long. A running server examines the rest."""


def vectors(settings: Settings) -> str:
    """Report how many memories have vectors of each model, and the progress of re-embedding."""
    with existing(settings) as database, database.read() as session:
        models = survey.count_models(session)
        work = survey.read(session).work
    if not models:
        return "none yet"
    counts = ", ".join(
        f"{count(number, 'memory', 'memories')} {f'with vectors of {name}' if name else 'without vectors'}"
        for name, number in sorted(models.items())
    )
    if len(models) == 1 and "" not in models:
        return counts
    return f"{counts}; {work or 'a running server embeds them again with the configured model'}"


def language(settings: Settings) -> str:
    """Report whether the model can handle the languages of the memories."""
    if languages.advice(settings) is None:
        return "the model is not limited to English"
    with existing(settings) as database:
        misread = _count_misread(database)
    advice = advice_for(settings, misread)
    return Advice(advice) if advice else "the model can handle the languages of the memories"


def _count_misread(database: Database) -> int:
    ending = time.monotonic() + LOOKING_SECONDS
    while survey.examine_projects(database) and time.monotonic() < ending:
        pass
    return survey.count_misread(database)
