"""The title of a memory, which lists, pages and assistants show."""

import pytest
import sqlalchemy as sa
from sqlmodel import col

from server.domain.memory import imports, memories
from server.domain.memory.excerpts import TITLE_LENGTH, title_of
from server.domain.memory.inputs import MemoryChange, Message, NewMemory
from server.index.upkeep import rewriting
from server.index.words.backend import word_index_of
from server.index.words.titles import memory_terms
from server.models import Memory
from server.models.base import JsonObject
from server.storage.database import Database
from tests.support.world import World, eventually


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("One line\nand another", "One line"),
        ("```python\nprint(1)\n```", "print(1)"),
        ("\n ~~~\r\n\r\ncode\r\n~~~", "code"),
        ("---\ntitle: Trip\n---\ntext", "title: Trip"),
        ("=====\n***\nAfter two lines", "After two lines"),
        ("```", "```"),
        ("---\n---", "---"),
        ("``` is a fence", "``` is a fence"),
        ("--- dashes", "--- dashes"),
        ("😀", "😀"),
        ("You said:\n\nWhere do the keys go?\nBot said:\nThere.", "You said: Where do the keys go?"),
        ("会話：\r\n鍵は箱の中", "会話： 鍵は箱の中"),
        ("Shopping:\n- milk", "Shopping:"),
        ("Shopping:\n\n", "Shopping:"),
    ],
)
def test_the_first_line_that_says_something_is_the_title(content: str, title: str) -> None:
    assert title_of(content, {}) == title


@pytest.mark.parametrize(
    ("title", "shown"), [("A  line\nand another", "A line and another"), (1984, "1984"), (1.5, "1.5"), ("", "text"),
                         (True, "text"), (["list"], "text"), (None, "text")]
)  # fmt: skip
def test_a_text_or_number_in_the_metadata_is_the_title(title: object, shown: str) -> None:
    assert title_of("text", {"title": title}) == shown


@pytest.mark.parametrize("mark", "`~-*=")
def test_marks_without_end_are_read_once(mark: str) -> None:
    """For each of 10,000 marks, the expression had gone back to all others: two seconds for one title."""
    assert title_of(mark * 9_999 + " x", {}) == mark * (TITLE_LENGTH - 1) + "…"


def rename(world: World, memory_id: str) -> None:
    change = MemoryChange(metadata={"speaker": "Anna", "title": "Svalbard"})
    with world.database.write() as session:
        memories.update(session, world.principal, memory_id, change, world.index)


def counts(world: World) -> list[int]:
    with world.database.read() as session:
        return list(word_index_of(session).counts(session, world.project_id, ["zanzibar", "svalbard", "tea"]))


def test_a_title_that_changes_while_the_words_of_a_long_text_are_cut_wins(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(content: str, details: JsonObject) -> list[str]:
        terms = memory_terms(content, details)
        if details["title"] == "Zanzibar":
            monkeypatch.setattr(imports, "memory_terms", memory_terms)
            with world.database.read() as session:
                memory_id = session.execute(sa.select(col(Memory.id))).scalar_one()
            rename(world, memory_id)
        return terms

    monkeypatch.setattr(imports, "memory_terms", overtaken)
    messages = [Message(role="user", content="tea " * 2_400) for _ in range(9)]
    new = NewMemory(messages=messages, metadata={"speaker": "Anna", "title": "Zanzibar"}, project_id=world.project_id)
    with world.database.write() as session:
        memories.add(session, world.principal, new, world.index)
    assert counts(world) == [0, 1, 1]


def test_a_title_that_changes_while_all_words_are_written_again_wins(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory_id = world.add("tea", metadata={"speaker": "Anna", "title": "Zanzibar"})
    cut_next = rewriting._cut_next

    def overtaken(database: Database) -> object:
        cut = cut_next(database)
        monkeypatch.setattr(rewriting, "_cut_next", cut_next)
        rename(world, memory_id)
        return cut

    monkeypatch.setattr(rewriting, "_cut_next", overtaken)
    list(rewriting.rewrite_all(world.database))
    eventually(lambda: counts(world) == [0, 1, 1])


def test_a_new_title_leaves_a_memory_in_its_place_in_the_conversation(world: World) -> None:
    """Cached places are read again with a new text only, so that another worker would rank by other places."""
    first, second = (world.add(text, metadata={"speaker": "Anna"}) for text in ("tea", "more tea"))
    place = world.memory(second).place
    world.delete(first)
    rename(world, second)
    assert (world.memory(second).place, counts(world)) == (place, [0, 1, 1])
