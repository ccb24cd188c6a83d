"""The page of a search says what the server is doing while searches find less."""

import pytest

from server.index.upkeep import survey
from server.models import IndexSurvey
from server.storage.database import Database
from tests.support.visitors import Visitor

FIND_LESS = "Until it is done, searches may find less."
ANOTHER = f"The server is preparing all memories for another search model: embedding memories 33%. {FIND_LESS}"
MEANING = f"The server is preparing memories for searches by meaning: embedding memories 33%. {FIND_LESS}"
WORDS = f"The server is writing the keywords of all memories again: writing words 33%. {FIND_LESS}"


@pytest.fixture(autouse=True)
def _counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the worker leave the counts of the tests alone."""
    monkeypatch.setattr(survey, "EVERY_SECONDS", 3600)


def count(database: Database, models: dict[str, int], work: str) -> None:
    with database.write() as session:
        session.merge(IndexSurvey(models=models, misread_projects=0, work=work))


@pytest.mark.parametrize(
    ("models", "work", "note"),
    [
        ({"old/test": 6, "words/test": 3}, "embedding memories 33%", ANOTHER),
        ({"old/test": 9}, "embedding memories 33%", ANOTHER),
        ({"": 1, "old/test": 5, "words/test": 3}, "embedding memories 33%", ANOTHER),
        ({"": 6, "words/test": 3}, "embedding memories 33%", MEANING),
        ({"": 9}, "embedding memories 33%", MEANING),
        ({"old/test": 6, "words/test": 3}, "writing words 33%", WORDS),
        ({"": 6, "words/test": 3}, "writing words 33%", WORDS),
        ({"words/test": 9}, "writing words 33%", WORDS),
        ({"old/test": 6, "words/test": 3}, "building a collection 33%", None),
        ({"old/test": 1, "words/test": 8}, "", None),
    ],
)
async def test_a_search_says_what_it_lacks_while_the_index_is_worked_on(
    ann: Visitor, database: Database, models: dict[str, int], work: str, note: str | None
) -> None:
    await ann.remember("The window seat.")
    address = f"{ann.project}/memories"
    count(database, models, work)
    for question in ("window", "nothing+like+it"):
        page = await ann.see(f"{address}?q={question}")
        assert note in page if note else FIND_LESS not in page
    assert FIND_LESS not in await ann.see(address)
