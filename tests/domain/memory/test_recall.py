"""The parts of a score: what was said around a memory, pieces that only ask, the floor, and weak answers."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from server.domain.memory.filters import Filters
from server.domain.memory.floor import floor_among, weak_below
from server.domain.memory.pages.strength import Strength, strengths_of
from server.domain.memory.search import SearchPage, SearchRequest, search
from server.index.exact.matrix import QUESTION_FACTOR
from server.index.pieces import only_asks
from server.models import Memory
from server.settings import Settings
from tests.support.fakes import SharedDirection
from tests.support.world import World, opened

MAY = datetime(2023, 5, 8, 14, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def windows(world: World, question: str, filters: Filters | None = None) -> dict[str, float]:
    found = world.found(question, filters, limit=100, threshold=0)
    return {one.memory.content: round(one.window, 3) for one in found}


def page(world: World, question: str, threshold: float | None = None, filters: Filters | None = None) -> SearchPage:
    request = SearchRequest(question, filters or Filters(), threshold=threshold, project_id=world.project_id)
    with world.database.read() as session:
        return search(session, world.principal, request, world.index)


def say(world: World, *texts: str, start: datetime = MAY, user_id: str | None = None) -> list[str]:
    return [world.add(text, at=start + n * MINUTE, user_id=user_id) for n, text in enumerate(texts)]


def test_a_memory_owes_a_part_of_its_score_to_what_was_said_around_it(world: World) -> None:
    say(world, "z boat", "y boat", "The regatta boat", *(f"{letter} boat" for letter in "abcdefghi"))
    found = windows(world, "boat regatta")
    assert found["The regatta boat"] >= found["a boat"] > found["b boat"] > found["f boat"] > found["g boat"]
    assert found["y boat"] > found["z boat"]
    assert found["h boat"] == found["i boat"], "six places behind the memory with the word in its context"


@pytest.mark.parametrize(
    ("question", "match", "neighbor"),
    [
        ("When is the invoice due?", "The invoice of the plumber is due on Friday", "Our cat is called Minka"),
        ("นัดตรวจฟัน", "หมอนัดตรวจฟันวันศุกร์", "แมวของเราชื่อมะลิ"),
        ("치과 예약", "치과 예약은 금요일이다.", "우리 고양이 이름은 모모다."),
        ("歯医者の予約", "歯医者の予約は金曜日です。", "猫を飼っています。"),
    ],
)
def test_words_nearby_are_no_words_of_a_memory_that_has_none(
    world: World, question: str, match: str, neighbor: str
) -> None:
    say(world, neighbor, match)
    best, other = world.found(question)
    assert (best.memory.content, best.share > 0.5) == (match, True)
    assert (other.share, other.window) == (0, 0)


def test_a_neighbor_alone_is_weak(world: World) -> None:
    say(world, "We bought a red canoe")
    world.add("Taxes are due on Friday", at=MAY + MINUTE, metadata={"tags": "kept"})
    assert page(world, "red canoe", filters=Filters(tags=("kept",))).weak


def test_a_neighbor_with_one_of_the_words_ranks_below_the_memory_with_all(world: World) -> None:
    say(world, "My regatta", "A boat for the regatta on the lake", "Her lake")
    assert world.texts("boat regatta lake")[0] == "A boat for the regatta on the lake"


def test_a_rare_word_nearby_counts_more_than_a_common_one(world: World) -> None:
    say(world, "The regatta lake", "a lake")
    say(world, "The boat lake", "b lake", start=MAY + timedelta(days=1))
    say(world, "My boat", "Her boat", start=MAY + timedelta(days=2))
    found = windows(world, "boat regatta lake")
    assert found["a lake"] > found["b lake"] > 0


def test_an_hour_another_user_and_another_project_end_a_conversation(world: World) -> None:
    say(world, "The regatta boat", "soon boat", user_id="ann")
    say(world, "later boat", start=MAY + timedelta(minutes=62), user_id="ann")
    say(world, "other boat", start=MAY + MINUTE, user_id="bob")
    say(world, "nobody's boat", start=MAY + MINUTE)
    say(world.another_project(), "elsewhere boat", start=MAY + MINUTE, user_id="ann")
    found = windows(world, "boat regatta")
    assert found["soon boat"] > 0.5
    assert max(found["later boat"], found["other boat"], found["nobody's boat"]) < 0.2


def test_every_change_moves_the_places_at_once(world: World) -> None:
    def last() -> float:
        return windows(world, "boat regatta")["c boat"]

    first, *_ = say(world, "The regatta boat", "b boat", "c boat")
    before = last()
    world.update(first, "The picnic boat")
    assert last() < before - 0.1
    world.update(first, "The regatta boat")
    assert last() == pytest.approx(before, abs=0.01)
    world.delete(first)
    assert last() < before - 0.1


def test_what_the_filters_leave_out_still_stands_around_the_rest(world: World) -> None:
    say(world, "The regatta boat")
    world.add("a boat", at=MAY + MINUTE, metadata={"tags": "kept"})
    world.add("b boat", at=MAY + timedelta(days=1), metadata={"tags": "kept"})
    found = windows(world, "boat regatta", Filters(tags=("kept",)))
    assert found["a boat"] > found["b boat"]


@pytest.mark.parametrize(
    "text",
    [
        *("Where did you go?", "Really?!", 'She asked, "who?"', "And you? 😊", "What⁉"),
        *("你去哪里了？", "أين ذهبت؟", "Πού πήγες;", "Πού πήγες\u037e", "የት ሄድክ፧"),
    ],
)
def test_a_short_piece_that_ends_in_a_question_mark_counts_half(text: str) -> None:
    assert only_asks(text)


@pytest.mark.parametrize("text", ["I did; then she did;", "Who? Me.", "See http://a.b/?q=1", "x" * 80 + "?", ""])
def test_every_other_piece_counts_fully(text: str) -> None:
    assert not only_asks(text)


def test_an_answer_comes_before_the_question_that_it_answers(world: World) -> None:
    world.add("Where is the old lighthouse?", at=MAY)
    world.add("The old lighthouse is there where the river ends.", at=MAY + timedelta(days=1))
    answer, question = world.found("where is the old lighthouse")
    assert (answer.memory.content[-1], question.memory.content[-1]) == (".", "?")
    assert question.similarity == pytest.approx(QUESTION_FACTOR, abs=0.02)


def test_equal_texts_of_two_users_score_alike_unless_something_was_said_around_them(world: World) -> None:
    for user in ("ann", "bob"):
        world.add("We bought a red canoe", at=MAY, user_id=user)
    first, second = world.found("red canoe")
    assert first.score == pytest.approx(second.score)
    world.add("Look at the canoe", at=MAY - MINUTE, user_id="ann")
    parts = {one.memory.user_id: one for one in world.found("red canoe") if "bought" in one.memory.content}
    assert parts["ann"].similarity == pytest.approx(parts["bob"].similarity)


def test_what_is_as_good_as_unrelated_is_left_out_unless_a_threshold_is_given(world: World) -> None:
    for days, text in enumerate(("We bought a red canoe", "Taxes are due on Friday", "Her cousin plays chess")):
        world.add(text, at=MAY + timedelta(days=days))
    everything = page(world, "red canoe", threshold=0).results
    kept = [one.memory.content for one in everything if one.score >= floor_among(3)]
    assert [one.memory.content for one in page(world, "red canoe").results] == kept
    assert kept[0] == "We bought a red canoe"
    assert len(kept) < len(everything) == 3


def test_an_answer_is_weak_when_nothing_stored_is_near(world: World) -> None:
    world.add_many(["We bought a red canoe", "Taxes are due on Friday", "Her cousin plays chess"])
    for threshold in (None, 0, 1):
        assert page(world, "quantum entanglement", threshold).weak
        assert not page(world, "red canoe", threshold).weak
    assert not page(world, "").weak


def test_what_all_vectors_of_a_model_share_answers_no_question(settings: Settings) -> None:
    with opened(settings, SharedDirection()) as world:
        world.add_many(["We bought a red canoe", "Taxes are due on Friday", "Her cousin plays chess"])
        assert page(world, "quantum entanglement").weak
        assert not page(world, "red canoe").weak
        world.index._matrices._large_project_bytes = 1  # too large to cache, and without a collection
        assert page(world, "quantum entanglement").weak
        assert not page(world, "red canoe").weak


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("stored", "related", "unrelated"),
    [
        ("周五下午三点和李医生有预约", "李医生的预约是什么时候", "巴西的首都是哪里"),
        ("고양이 이름은 나비이고 다섯 살이다", "고양이 이름이 뭐예요", "양자역학이란 무엇인가"),
        ("День рождения папы двенадцатого июня", "Когда день рождения папы", "Как научиться играть на гитаре"),
    ],
)
def test_to_a_model_that_reads_only_english_a_common_script_is_no_answer(
    settings: Settings, stored: str, related: str, unrelated: str
) -> None:
    with opened(settings, SharedDirection(knows_mean=False)) as world:
        world.add(stored)
        assert not page(world, related).weak
        found = page(world, unrelated)
        assert (found.weak, strengths_of(found, unrelated)) == (True, [Strength.WEAK])


def test_to_a_model_that_reads_only_english_words_of_another_script_count_more_than_meaning(world: World) -> None:
    right = "할머니 생신은 오월 십이일이다"
    for day, text in enumerate([right, "우리 고양이", "민수는 땅콩을 못 먹는다", "목요일에 치과에 간다"]):
        world.add(text, at=MAY + timedelta(days=day))
    assert page(world, "우리 할머니생신").results[0].memory.content == right
    found = page(world, "양자역학")
    assert (found.results, found.weak) == ([], True)


def test_nothing_is_weak_in_an_empty_project(world: World) -> None:
    found = page(world, "red canoe")
    assert (found.results, found.weak) == ([], False)


def test_chance_finds_more_among_more_memories() -> None:
    levels = [weak_below(count) for count in (0, 1, 10, 50, 300, 500, 1_000_000)]
    assert levels == sorted(levels)
    assert (levels[0], levels[-1]) == (0.13, 0.28)
    assert floor_among(600) == pytest.approx(0.161)


def test_memories_that_were_added_at_the_same_moment_are_found_by_their_own_words(world: World) -> None:
    """Both follow the same memory, so that they have the same place in its conversation."""
    first, second = world.add("a red kayak"), world.add("a red canoe")
    with world.database.write() as session:
        session.execute(sa.update(Memory).values(place=1_048_577))
    for query, memory_id in (("red kayak", first), ("red canoe", second)):
        best = world.found(query)[0]
        assert best.memory.id == memory_id
        assert best.window == pytest.approx(1)
