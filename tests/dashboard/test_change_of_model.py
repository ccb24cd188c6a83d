"""The page of a search says that memories are getting vectors of another model."""

import pytest

from server.database import Database
from server.index.upkeep import survey
from server.models import IndexSurvey
from tests.support.visitors import Visitor

NOTE = "The server is preparing all memories for another search model: 3 of 9"


@pytest.fixture(autouse=True)
def _counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the worker leave the counts of the tests alone."""
    monkeypatch.setattr(survey, "EVERY_SECONDS", 3600)


def count(database: Database, models: dict[str, int], work: str) -> None:
    with database.write() as session:
        session.merge(IndexSurvey(models=models, misread_projects=0, work=work))


async def test_a_search_says_that_its_model_is_changing(ann: Visitor, database: Database) -> None:
    await ann.remember("The window seat.")
    address = f"{ann.project}/memories"
    for models in ({"old/test": 6, "words/test": 3}, {"": 6, "words/test": 3}):
        count(database, models, "3 of 9")
        assert NOTE in await ann.see(f"{address}?q=window")
        assert NOTE in await ann.see(f"{address}?q=nothing+like+it")
        assert NOTE not in await ann.see(address)
    for models, work in (({"words/test": 9}, "3 of 9"), ({"old/test": 1, "words/test": 8}, "")):
        count(database, models, work)
        assert "another search model" not in await ann.see(f"{address}?q=window")
