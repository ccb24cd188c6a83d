"""Each process can tell what the worker of another process is doing."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from server.index.upkeep import survey
from server.index.upkeep.progress import Progress
from server.models import IndexSurvey
from server.models.base import now
from server.storage.database import Database


@pytest.mark.parametrize("pause", [5.0, 3600.0], ids=["counts often", "counts a large database"])
def test_slow_work_stays_visible(database: Database, monkeypatch: pytest.MonkeyPatch, pause: float) -> None:
    """Among a million memories, the percentage and the time left may stay the same for minutes."""
    clock = [1000.0]
    monkeypatch.setattr(survey, "EVERY_SECONDS", pause)
    monkeypatch.setattr(survey, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    surveyor = survey.Surveyor(database, only_english=False)
    progress = Progress("embedding memories", 1, 3)
    surveyor.step(progress)
    with database.write() as session:
        session.execute(sa.update(IndexSurvey).values(counted_at=now() - timedelta(seconds=90)))
    clock[0] += 90
    surveyor.step(progress)
    with database.read() as session:
        assert survey.read(session).work == "embedding memories 33%"
