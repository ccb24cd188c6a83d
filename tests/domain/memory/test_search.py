"""Search: which memories are found, in which order, within which filters."""

import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from server.domain.memory.filters import Filters
from server.domain.memory.ranking import newer_first
from server.domain.memory.search import SearchRequest, SortBy, search
from server.errors import NotFound
from server.models.base import now
from tests.support.world import World

YEAR = timedelta(days=365)


def test_the_only_memory_is_found_at_once(world: World) -> None:
    world.add("We bought a red canoe")
    (found,) = world.found("red canoe")
    assert found.memory.content == found.piece == "We bought a red canoe"
    assert 0.5 < found.score <= 1
    assert found.share == 1
    assert found.score == pytest.approx(
        (0.6 * found.similarity + 0.25 * found.share + 0.45 * found.window) / 1.3, abs=1e-5
    )


def test_results_are_sorted_by_score_within_0_and_1(world: World) -> None:
    world.add_many([f"canoe number {n} in the lake" if n % 3 else f"Something else {n}" for n in range(60)])
    scores = [one.score for one in world.found("canoe number 7", limit=60)]
    assert len(scores) == 60
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def test_unrelated_text_scores_low_and_a_threshold_drops_it(world: World) -> None:
    for days, text in enumerate(("We bought a red canoe", "Taxes are due on Friday", "Her cousin plays chess")):
        world.add(text, at=now() - timedelta(days=days))
    assert world.found("red canoe")[-1].score < 0.2
    assert [one.memory.content for one in world.found("red canoe", threshold=0.4)] == ["We bought a red canoe"]
    assert world.found("red canoe", threshold=1.0) == []


def test_a_long_text_scores_as_its_best_piece_and_shows_it(world: World) -> None:
    text = "The weather was fine that day. Grandfather repaired the lighthouse clock. We had soup for dinner."
    world.add(text)
    world.add("Clocks are sold here and there and everywhere")
    found = world.found("who repaired the lighthouse clock")[0]
    assert (found.memory.content, found.piece) == (text, "Grandfather repaired the lighthouse clock.")


def test_an_empty_query_lists_the_newest_first(world: World) -> None:
    texts = [f"memory {n}" for n in range(12)]
    for text in texts:
        world.add(text)
    assert world.texts("  ", limit=3) == texts[:-4:-1]
    assert {one.score for one in world.found("")} == {1.0}


def test_sorting_by_time_puts_the_most_relevant_newest_first(world: World) -> None:
    for days, text in ((3, "red canoe"), (1, "a red canoe again"), (2, "nothing of the kind"), (9, "that red canoe")):
        world.add(text, at=now() - timedelta(days=days))
    request = SearchRequest("red canoe", limit=3, sort_by=SortBy.TIMESTAMP, project_id=world.project_id)
    with world.database.read() as session:
        page = search(session, world.principal, request, world.index)
    assert [one.memory.content for one in page.results] == ["a red canoe again", "red canoe", "that red canoe"]


def test_a_match_is_found_behind_a_thousand_closer_memories(world: World) -> None:
    world.add("canoe trip once", metadata={"tags": "wanted"}, at=now() - YEAR, user_id="ann")
    near = [f"red canoe trip number {n}" for n in range(1000)]
    world.add_many(near, metadata={"tags": "near", "people_mentioned": "Li"})
    assert world.texts("red canoe trip", Filters(tags=("Wanted",))) == ["canoe trip once"]
    assert world.texts("red canoe trip", Filters(user_id="ann")) == ["canoe trip once"]
    assert world.texts("red canoe trip", Filters(created_until=now() - YEAR / 2)) == ["canoe trip once"]
    assert len(world.texts("red canoe trip", Filters(people=("li",)), limit=100)) == 100
    assert world.texts("red canoe trip", Filters(tags=("wanted",), people=("Li",))) == []


def test_the_next_search_sees_every_change(world: World) -> None:
    first = world.add("red canoe")
    assert world.texts("red canoe") == ["red canoe"]
    second = world.add("blue canoe")
    assert world.texts("blue canoe") == ["blue canoe", "red canoe"]
    world.update(first, "green kayak")
    assert world.texts("green kayak")[0] == "green kayak"
    assert "red canoe" not in world.texts("red canoe")
    world.delete(second)
    assert world.texts("blue canoe") == ["green kayak"]


def test_another_projects_memories_do_not_exist(world: World) -> None:
    world.add("red canoe")
    assert world.another_project().texts("red canoe") == []
    request = SearchRequest("red canoe", project_id="proj_unknown")
    with world.database.read() as session, pytest.raises(NotFound):
        search(session, world.principal, request, world.index)


def test_a_query_of_stop_words_is_scored_by_them_too(world: World) -> None:
    world.add_many(["who is it", "red canoe"])
    found = world.found("who is it")[0]
    assert (found.memory.content, found.share) == ("who is it", 1)
    assert found.score == pytest.approx((0.6 * found.similarity + 0.7) / 1.3)


def test_every_score_is_finite_even_for_a_single_memory(world: World) -> None:
    world.add("x")
    for question in ("x", "y", "who is it", "\x00", "?"):
        assert all(np.isfinite(one.score) for one in world.found(question))


def test_equal_texts_of_one_user_are_shown_once_as_the_newest(world: World) -> None:
    *_, newest = [world.add("the same", at=datetime(2024, 1, day, tzinfo=UTC)) for day in (1, 2, 3)]
    world.add("another")
    first, *others = world.found("the same")
    assert (first.memory.id, first.duplicates) == (newest, 2)
    assert [one.memory.content for one in others] == ["another"]


def test_a_search_runs_four_statements(world: World) -> None:
    world.add_many([f"canoe {n}" for n in range(20)])
    world.texts("canoe")
    statements: list[str] = []
    this_thread = threading.get_ident()

    @sa.event.listens_for(world.database.engine, "before_cursor_execute")
    def _note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if threading.get_ident() == this_thread:  # the worker runs statements too, in its own thread
            statements.append(statement)

    world.texts("canoe")
    assert len([statement for statement in statements if "SELECT" in statement]) == 4, statements


def test_of_near_equals_the_newer_is_first() -> None:
    descending = np.array([0.9, 0.899, 0.504, 0.5, 0.49], np.float32)
    assert newer_first(np.array([0, 3, 1, 2, 4]), descending).tolist() == [3, 0, 2, 1, 4]
    assert newer_first(np.array([], np.intp), descending[:0]).tolist() == []
