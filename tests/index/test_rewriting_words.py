"""Words of an earlier version are written again in the background, while searches and changes continue."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import select

from server.index import MemoryIndex
from server.index.types import NO_PLACES
from server.index.upkeep import rewriting
from server.index.words import fts5, tokenizer, word_index, word_search
from server.index.words.backend import word_index_of
from server.models import Memory, Project
from server.settings import Settings
from server.storage.database import Database, migrate
from tests.support.earlier import database_at, upgrade_to
from tests.support.fakes import WordEmbedder
from tests.support.world import World, eventually, wait_for_a_waiter

PROJECT = "proj_one"
COUNT = 6
TEXT = "Straße {} mit Tee"


@pytest.fixture
def earlier(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[Database]:
    """A database of the version before, with `COUNT` memories and the words that it wrote, now with today's tables."""
    on_sqlite = database_url.startswith("sqlite")
    url = f"sqlite:///{tmp_path / 'earlier.db'}" if on_sqlite else request.getfixturevalue("postgres").make_empty()
    database_at(url, "0004")
    upgrade_to(url, "0011")
    database = Database(url, connections=8)
    with database.write() as session:
        memories = sa.Table("memories", sa.MetaData(), autoload_with=session.connection())
        first = session.execute(sa.select(memories)).mappings().one()
        for number in range(2, COUNT + 2):
            changes = {"number": number, "id": f"mem_p{number}", "content": TEXT.format(number)}
            session.execute(sa.insert(memories).values({**first, **changes}))
            session.execute(_OLD_WORDS[on_sqlite], {"number": number, "words": _old_words(number, on_sqlite)})
        session.execute(sa.text("UPDATE projects SET memory_count = :count"), {"count": COUNT + 1})
        if not on_sqlite:
            session.execute(sa.text("SELECT setval(pg_get_serial_sequence('memories', 'number'), 100)"))
    migrate(url)
    yield database
    database.close()
    if not on_sqlite:
        request.getfixturevalue("postgres").drop(url)


_OLD_WORDS = {
    True: sa.text("INSERT INTO memory_words (rowid, body, context, dates) VALUES (:number, :words, '', '')"),
    False: sa.text(
        "INSERT INTO memory_words (memory_number, project_id, words)"
        " VALUES (:number, 'proj_one', setweight(to_tsvector('english', :words), 'A'))"
    ),
}


def _old_words(number: int, on_sqlite: bool) -> str:
    words = TEXT.format(number).lower().split()
    return fts5._prefixed(fts5._prefix_of(PROJECT), words) if on_sqlite else " ".join(words)


def found(database: Database, question: str) -> list[int]:
    with database.read() as session:
        project = session.get_one(Project, PROJECT)
        matches = word_search.search(session, PROJECT, project.memory_count, question, None, NO_PLACES)
        return [int(number) for number in matches.numbers]


def epoch(database: Database) -> int:
    with database.read() as session:
        return session.get_one(Project, PROJECT).epoch


def test_the_running_index_writes_them_again(earlier: Database, settings: Settings) -> None:
    assert found(earlier, "tee") == [2, 3, 4, 5, 6, 7]
    assert found(earlier, "strasse") == []
    index = MemoryIndex(settings, earlier, WordEmbedder())
    index.start()
    try:
        eventually(lambda: found(earlier, "strasse") == [2, 3, 4, 5, 6, 7])
        eventually(lambda: not rewriting.is_outdated(earlier))
    finally:
        index.close()


def test_an_interrupted_run_goes_on_where_it_stopped(earlier: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewriting, "MOST_MEMORIES", 2)
    run = rewriting.rewrite_outdated(earlier)
    next(run)
    del run
    assert rewriting.is_outdated(earlier)
    assert found(earlier, "strasse") == [6, 7]
    assert found(earlier, "tee") == [2, 3, 4, 5, 6, 7]
    assert [step.done for step in rewriting.rewrite_outdated(earlier)] == [2, 4, 5]
    assert found(earlier, "strasse") == [2, 3, 4, 5, 6, 7]
    assert not rewriting.is_outdated(earlier)


def test_a_long_text_is_a_chunk_of_its_own(earlier: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewriting, "MOST_CHARACTERS", 3)
    assert len(list(rewriting.rewrite_outdated(earlier))) == COUNT + 1


def test_another_tokenizer_writes_them_once_more(earlier: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    list(rewriting.rewrite_outdated(earlier))
    assert epoch(earlier) != 0, "cached matrices must learn of the new places"
    monkeypatch.setattr(tokenizer, "VERSION", tokenizer.VERSION + 1)
    assert rewriting.is_outdated(earlier)
    assert sum(1 for _ in rewriting.rewrite_outdated(earlier)) == 1
    assert not rewriting.is_outdated(earlier)


def test_a_text_that_changes_meanwhile_keeps_its_new_words(earlier: Database) -> None:
    with earlier.write() as session:
        session.exec(select(Project).where(Project.id == PROJECT).with_for_update()).one()
        memory = session.exec(select(Memory).where(Memory.number == COUNT + 1)).one()
        memory.content, memory.content_hash = "Kaffee", "another"
        session.flush()
        run = threading.Thread(target=lambda: list(rewriting.rewrite_outdated(earlier)))
        run.start()
        wait_for_a_waiter(earlier)
        word_index.memories_changed(session, PROJECT, None, [COUNT + 1], {})
    run.join()
    assert found(earlier, "kaffee") == [COUNT + 1]


def test_a_new_database_has_nothing_to_write(settings: Settings) -> None:
    database = Database(settings.database_url.get_secret_value(), connections=2)
    assert not rewriting.is_outdated(database)
    assert list(rewriting.rewrite_outdated(database)) == []
    assert not rewriting.is_outdated(database)
    database.close()


def test_texts_are_cut_into_terms_before_the_transaction_and_again_if_they_change(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory_id = world.add("a red canoe")
    cut_next = rewriting._cut_next

    def overtaken(database: Database) -> object:
        cut = cut_next(database)
        monkeypatch.setattr(rewriting, "_cut_next", cut_next)
        world.update(memory_id, "a blue kayak")
        return cut

    monkeypatch.setattr(rewriting, "_cut_next", overtaken)
    list(rewriting.rewrite_all(world.database))  # the world's worker may take a part

    def found() -> list[int]:
        with world.database.read() as session:
            return list(word_index_of(session).counts(session, world.project_id, ["canoe", "kayak"]))

    eventually(lambda: found() == [0, 1])
