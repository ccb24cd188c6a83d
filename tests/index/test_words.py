"""The word index on both databases: a memory's own words and its date."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Session, select

from server.domain.memory import memories
from server.domain.memory.inputs import Message, NewMemory
from server.index.types import NO_PLACES
from server.index.words import word_search
from server.index.words.backend import word_index_of
from server.index.words.questions import question_terms
from server.index.words.tokenizer import terms_of
from server.models import Memory, Project
from tests.support.world import World

MAY = datetime(2023, 5, 8, 14, 0, tzinfo=UTC)


def shares(world: World, question: str) -> dict[str, float]:
    """Search by words and return the share of each matching memory, by its text."""
    with world.database.read() as session:
        project = session.get_one(Project, world.project_id)
        known = world.index.places(session, project, world.index.embed_question(session, project, question))
        matches = word_search.search(session, project.id, project.memory_count, question, None, known)
        pairs = zip(matches.numbers.tolist(), matches.shares.tolist(), strict=True)
        return {_text(session, number): share for number, share in pairs}


def _text(session: Session, number: int) -> str:
    return session.exec(select(Memory.content).where(Memory.number == number)).one()


def windows(world: World, question: str) -> list[float]:
    """Search by words and return the window of each matching memory, oldest first."""
    with world.database.read() as session:
        project = session.get_one(Project, world.project_id)
        matches = word_search.search(session, project.id, project.memory_count, question, None, NO_PLACES)
        return [round(value, 3) for value in matches.windows.tolist()]


def _texts(parameters: Any) -> list[str]:
    return list(parameters.values() if isinstance(parameters, dict) else parameters)


def test_only_matches_near_matches_of_other_words_have_their_places_read(world: World) -> None:
    """In a large project, reading all places would take longer than the rest of the search."""
    quiet = ["nothing of the kind"] * (word_search.NEAR_NUMBERS + 1)
    world.add_many(["a red canoe", "a red boat", *quiet, "a red kayak", "with a paddle"], at=MAY)
    reads: list[Any] = []

    @sa.event.listens_for(world.database.engine, "before_cursor_execute")
    def _note(_connection: object, _cursor: object, statement: str, parameters: Any, *_rest: object) -> None:
        if "memories.place" in statement and "json" in statement:
            reads.append(parameters)

    apart, also_apart, before, after = windows(world, "red paddle")
    assert apart == also_apart < before < after < 1
    (numbers,) = [json.loads(text) for parameters in reads for text in _texts(parameters)]
    assert len(numbers) == 2


def test_the_memory_with_the_rarer_word_matches_best(world: World) -> None:
    world.add_many(["We like coffee", "We like tea", "We like tea and a zeppelin"])
    results = shares(world, "tea zeppelin")
    assert results["We like tea and a zeppelin"] == pytest.approx(1, abs=0.05)
    assert 0 < results["We like tea"] < 1
    assert "We like coffee" not in results


def test_words_match_other_forms_of_the_same_word(world: World) -> None:
    world.add("She was running marathons")
    assert shares(world, "run a marathon") == {"She was running marathons": 1.0}


def test_a_memory_is_found_by_its_own_words_only(world: World) -> None:
    changed = world.add("Where did you buy the violin?", at=MAY)
    world.add("In Cremona.", at=MAY + timedelta(minutes=1))
    assert set(shares(world, "violin")) == {"Where did you buy the violin?"}
    world.update(changed, "Or was it a cello?")
    assert shares(world, "violin") == {}
    assert set(shares(world, "cello")) == {"Or was it a cello?"}
    world.delete(changed)
    assert shares(world, "cello") == {}


def test_a_rare_word_counts_fully_in_a_long_memory(world: World) -> None:
    world.add_many([f"Order number A-{n} is for the lamp" for n in range(20)], at=MAY)
    long = "\n".join([*(f"We talked about thing {n} and ate soup" for n in range(200)), "Order number ZX-88214"])
    world.add(long, at=MAY)
    results = shares(world, "What is order number ZX-88214 for?")
    assert max(results, key=results.__getitem__) == long
    assert results[long] > 0.8


def test_a_memory_is_found_by_its_date_as_people_say_it(world: World) -> None:
    world.add("Tea", at=MAY)
    world.add("Coffee", at=MAY + timedelta(days=40))
    results = shares(world, "what did I drink on 8 May 2023?")
    assert results["Tea"] > 2 * results["Coffee"] > 0
    assert set(shares(world, "2023-05-08")) == {"Tea", "Coffee"}
    assert shares(world, "2023-05-08")["Tea"] > shares(world, "2023-05-08")["Coffee"] * 1.2


def test_another_projects_words_are_not_found_and_change_no_score(world: World) -> None:
    world.add_many(["tea with milk", "coffee", "tea " * 40])
    before = shares(world, "tea milk")
    world.another_project().add_many(["tea", "tea and tea", "more tea"] * 20)
    assert shares(world, "tea milk") == before


def test_a_common_word_counts_less_in_a_long_memory(world: World) -> None:
    long = "We had tea. " + "Then we talked about other things. " * 20
    world.add_many(["Tea at noon", "Tea at five", long, "Coffee", "Water"])
    results = shares(world, "tea")
    assert results["Tea at noon"] == results["Tea at five"] == 1
    assert 0 < results[long] < 0.8


@pytest.mark.parametrize(
    ("question", "found"), [("The Who", "A record by The Who"), ("IT", "She works in IT"), ("to be", "Ought to be")]
)
def test_stop_words_count_when_a_question_has_nothing_else(world: World, question: str, found: str) -> None:
    world.add_many([found, "Nothing"], at=MAY)
    world.add("Tea", at=MAY + timedelta(days=1))
    assert max((results := shares(world, question)), key=lambda text: results[text]) == found
    assert "Tea" not in results


def test_a_question_may_contain_any_character(world: World) -> None:
    world.add("quote")
    assert set(shares(world, "quote \" ' ) ( * : ^ - AND NOT NEAR {a} \x00 :x ' | & !")) == {"quote"}


def test_a_match_of_few_of_the_words_has_a_low_share(world: World) -> None:
    world.add_many(["We like tea", "Nothing", "Of the kind"])
    assert shares(world, "tea") == pytest.approx({"We like tea": 1})
    assert shares(world, "tea kayak zeppelin")["We like tea"] < 0.25


def test_in_a_large_project_the_rarest_words_decide(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_search, "MAX_ROWS", 8)
    world.add_many([f"tea {n}" for n in range(30)], at=MAY, user_id="ann")
    world.add_many([f"tea and milk {n}" for n in range(3)], at=MAY, user_id="bob")
    results = shares(world, "tea milk")
    assert {text for text in results if "milk" in text} == {"tea and milk 0", "tea and milk 1", "tea and milk 2"}
    assert len(results) == 3
    assert len(shares(world, "tea")) == 8


def test_a_large_project_counts_only_the_matches_of_its_rarest_common_word(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a project of a million memories, counting every common word takes longer than the rest of a search."""
    monkeypatch.setattr(word_search, "MAX_ROWS", 3)
    monkeypatch.setattr(word_search, "COUNT_AT_MOST", 12)
    world.add_many([f"tea {n}" for n in range(40)] + [f"coffee {n}" for n in range(10)])
    counted: list[int] = []
    with world.database.read() as session:
        index = word_index_of(session)
    counts = index.counts

    def seen(*arguments: Any) -> Sequence[int]:
        counted.extend(found := counts(*arguments))
        return found

    monkeypatch.setattr(index, "counts", seen)
    assert set(shares(world, "tea coffee zeppelin")) == {"coffee 7", "coffee 8", "coffee 9"}
    assert sorted(counted) == [10, 10, 12]


def test_in_a_large_project_a_word_is_found_by_its_beginning(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_search, "MAX_ROWS", 8)
    world.add_many([f"Kühlschranktür {n}" for n in range(9)] + [f"Dampfschifffahrt {n}" for n in range(3)], at=MAY)
    assert len(shares(world, "Dampfschiff 7")) == 4
    assert shares(world, "Kühlschrank") == {}, "the beginning of more words than a search scores"


def test_a_beginning_counts_memories_and_not_words(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a few long memories that repeat a word were not found by its beginning, and only on SQLite."""
    monkeypatch.setattr(word_search, "MAX_ROWS", 8)
    forms = "Dampfschifffahrt Dampfschifffahrten Dampfschifffahrtskarte"
    world.add_many([*(f"{forms} {forms} {n}" for n in range(3)), *(f"Bahnhof {n}" for n in range(9))], at=MAY)
    assert len(shares(world, "Dampfschiff")) == 3


def test_each_form_of_a_word_finds_the_words_with_its_beginning(world: World) -> None:
    world.add("в пятницу", at=MAY)
    assert shares(world, "пятница пятницей")["в пятницу"] == pytest.approx(0.7**1.25, abs=0.01)


@pytest.mark.parametrize(
    ("question", "text"),
    [("кот", "У нас два кота"), ("рыба", "Купить рыбу"), ("Маша", "Подарок Маше"), ("сын", "Школа сына")],
)
def test_a_short_russian_noun_is_found_in_another_case(world: World, question: str, text: str) -> None:
    world.add_many([text, "Который час", "Машина во дворе", "Рыбный рынок"], at=MAY)
    assert {*shares(world, f"{question}, час")} == {text, "Который час"}


def test_a_word_counts_more_than_one_that_only_begins_with_it(world: World) -> None:
    world.add("Dampfschifffahrt", at=MAY)
    assert shares(world, "Dampfschiff")["Dampfschifffahrt"] == pytest.approx(0.7**1.25, abs=0.01)
    world.add("Dampfschiff", at=MAY + timedelta(days=1))
    assert shares(world, "Dampfschiff") == {"Dampfschiff": 1}


@pytest.mark.parametrize(
    ("question", "as_one_word", "apart", "other"),
    [
        ("what data base do we use", "The database has a replica", "A data base in the cellar", "The base of a lamp"),
        ("Wi-Fi password", "The wifi password is Sesam", "The Wi-Fi password is Tulip", "The Wi-Fi of a hotel"),
        ("log in", "Ben's login is broken", "They log everything in a diary", "Ben is in the garden"),
        ("Steuer Bescheid", "Der Steuerbescheid ist da", "Bescheid wegen der Steuer", "Die Steuer ist hoch"),
    ],
)
def test_words_of_a_question_are_found_as_one_word(
    world: World, question: str, as_one_word: str, apart: str, other: str
) -> None:
    world.add_many([as_one_word, apart, other], at=MAY)
    found = shares(world, question)
    assert found[as_one_word] == pytest.approx(found[apart], abs=0.01)
    assert found.get(other, 0) < 0.7 * found[as_one_word]


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("where is the reciept", "The receipt is in the blue folder"),
        ("receipt", "The reciept is in the blue folder"),
        ("enviroment", "Environments are staging and production"),
        ("definately", "He definitely likes it"),
        ("neccessary documents", "Necessary: a passport"),
        ("theater", "Tickets for the theatre"),
        ("whatsapp", "The Whats app group of the parents"),
        ("паспотр", "Паспорт лежит в столе"),
    ],
)
def test_a_misspelled_word_is_found_where_no_word_of_the_question_is(world: World, question: str, text: str) -> None:
    world.add_many([text, "The app says what it does", "Dinner with Ben"], at=MAY)
    assert list(shares(world, question)) == [text]
    assert 0 < shares(world, question)[text] < 0.33


def test_a_word_that_differs_by_a_letter_is_no_match_beside_the_word_itself(world: World) -> None:
    world.add_many(["The contract with Ben", "Contact Ben on Friday", "The receipt"], at=MAY)
    assert list(shares(world, "contract")) == ["The contract with Ben"]
    assert "The receipt" not in shares(world, "reciept of Ben")


def test_postgres_looks_for_other_spellings_in_the_index(world: World) -> None:
    """An estimate of many matches makes it read all memories, which takes a second among 100,000."""
    if world.database.is_sqlite:
        return
    world.add_many([f"word{number:03}" for number in range(300)], at=MAY)
    explained: list[str] = []

    @sa.event.listens_for(world.database.engine, "before_cursor_execute", retval=True)
    def _explain(_connection: Any, cursor: Any, statement: str, parameters: Any, *_rest: Any) -> tuple[str, Any]:
        if "to_tsquery" in statement and "|" in str(parameters):
            cursor.execute(f"EXPLAIN {statement}", parameters)
            explained.extend(row[0] for row in cursor.fetchall())
        return statement, parameters

    with world.database.write() as session:
        session.execute(sa.text("ANALYZE memory_words"))
    assert shares(world, "internationalization") == {}
    (estimate,) = [int(rows) for line in explained for rows in re.findall(r"Scan.*on memory_words.*rows=(\d+)", line)]
    assert estimate < 10


def test_a_memory_with_many_words_of_one_beginning_counts_once(world: World) -> None:
    """Otherwise the beginning would count as a common word, and more on SQLite than on Postgres."""
    many = "Dampfschifffahrt Dampfschifffahrten Dampfschifffahrtskarte"
    world.add_many([many, "Bahnhof", "Garten", "Fenster"], at=MAY)
    assert shares(world, "Dampfschiff Bahnhof")["Bahnhof"] == pytest.approx(0.5**1.25, abs=0.001)


def test_the_longest_memory_with_only_different_words_is_stored_and_found(world: World) -> None:
    texts = [" ".join(f"word{number:07}" for number in range(start, start + 800)) for start in range(0, 80_000, 800)]
    new = NewMemory(messages=[Message(role="user", content=text) for text in texts], project_id=world.project_id)
    with world.database.write() as session:
        memories.add(session, world.principal, new, world.index)
    assert list(shares(world, "word0000007").values()) == [1]


def test_every_script_is_cut_into_terms() -> None:
    assert terms_of("It's Café 2, no?") == ["it", "s", "cafe", "2", "no"]
    assert terms_of("हिन्दी भाषा") == ["हिंदी", "भाषा"]
    assert terms_of("小明喜tea") == ["小", "明", "喜", "小明", "明喜", "tea"]
    assert question_terms("Where is the tea, the Tea?") == ["tea"]
