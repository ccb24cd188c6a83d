"""The cost of a filtered list depends on the size of its page, not on how many memories match."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from sqlmodel import Session

from server.domain import turns
from server.domain.memory import counting, deletions, memories, repeats, search
from server.domain.memory.filters import Filters
from server.domain.memory.inputs import NewMemory
from server.domain.memory.memories import ListRequest
from server.domain.memory.pages import facets, similar
from server.domain.memory.search import SearchRequest
from server.models.base import now
from tests.support.world import World

pytestmark = pytest.mark.sqlite_only  # it counts the steps of its virtual machine

MANY = 1_000
YEAR = timedelta(days=365)


@pytest.fixture
def shelf(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A project whose memories all pass three filters, as a large project's would: too many to search only them."""
    monkeypatch.setattr(search, "MOST_ALLOWED", 10)
    monkeypatch.setattr(counting, "FEW", 10)
    texts = [f"canoe trip number {number}" for number in range(MANY)]
    world.add_many(texts, metadata={"tags": ["common", "other"], "lang": "en"}, user_id="ann")
    world.texts("canoe")
    return world


FILTERS = (
    Filters(tags=("common",)),
    Filters(tags=("common", "other"), match_all_tags=True),
    Filters(metadata={"lang": "en"}),
    Filters(created_from=now() - YEAR),
    Filters(user_id="ann"),
)


def test_a_common_filter_costs_little_and_finds_the_same_as_none(shelf: World) -> None:
    plain, found = steps_of_search(shelf, Filters())
    for filters in FILTERS:
        steps, found_too = steps_of_search(shelf, filters)
        assert found_too == found
        assert steps < 1.5 * plain, filters
    listed = ListRequest(Filters(tags=("common",)), project_id=shelf.project_id)
    assert steps_of(shelf, lambda session: memories.list_memories(session, shelf.principal, listed)) < 5 * MANY


def test_a_memory_without_a_similar_one_reads_no_others(world: World) -> None:
    world.add_many([f"canoe trip number {number}" for number in range(200)])
    lonely = world.add("soup with leeks")
    world.texts("canoe")
    assert steps_of(world, lambda session: similar.similar_to(session, world.principal, lonely, world.index, 4)) < 1_000


def test_chips_of_a_small_project_read_no_other_projects(world: World) -> None:
    world.add_many([f"canoe trip number {number}" for number in range(500)])
    small = world.another_project()
    small.add("soup with leeks", metadata={"tags": "food"})
    for filters in (Filters(), Filters(match_all_tags=True), Filters(tags=("food",))):
        count = partial(facets.facets, principal=small.principal, project_id=small.project_id, filters=filters)
        assert steps_of(small, count) < 1_000, filters
        with small.database.read() as session:
            assert [tag.name for tag in count(session).tags] == ["food"]


def test_a_text_is_looked_for_among_equal_ones_alone(world: World) -> None:
    world.add("soup")
    world.add_many([f"canoe trip number {number}" for number in range(MANY)])
    new = NewMemory(content="soup", project_id=world.project_id)
    assert steps_of(world, partial(repeats.remember, principal=world.principal, new=new, index=world.index)) < MANY


@pytest.mark.parametrize(("user_id", "steps_each"), [(None, 1), ("ann", 5)])
def test_a_deletion_of_all_begins_without_reading_the_memories(
    shelf: World, monkeypatch: pytest.MonkeyPatch, user_id: str | None, steps_each: int
) -> None:
    monkeypatch.setattr(turns, "repeat", lambda _session, _step: None)
    begin = partial(deletions.delete_all, principal=shelf.principal, project_id=shelf.project_id, user_id=user_id)
    assert steps_of(shelf, begin) < steps_each * MANY
    with shelf.database.write() as session:
        assert begin(session) == MANY


def steps_of_search(shelf: World, filters: Filters) -> tuple[int, list[str]]:
    request = SearchRequest("canoe trip 7", filters, 10, project_id=shelf.project_id)
    found: list[str] = []

    def ask(session: Session) -> None:
        page = search.search(session, shelf.principal, request, shelf.index)
        found.extend(result.memory.id for result in page.results)

    return steps_of(shelf, ask), found


def steps_of(shelf: World, operation: Callable[[Session], object]) -> int:
    """Return about how many steps SQLite's virtual machine takes."""
    hundreds = 0

    def count() -> int:
        nonlocal hundreds
        hundreds += 1
        return 0

    with shelf.database.read() as session:
        connection = session.connection().connection.driver_connection
        assert connection is not None
        connection.set_progress_handler(count, 100)
        try:
            operation(session)
        finally:
            connection.set_progress_handler(None, 100)
    return hundreds * 100
