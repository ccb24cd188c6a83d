"""The title of a memory, which lists, pages and assistants show."""

import pytest

from server.domain.memory.excerpts import TITLE_LENGTH, title_of


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
    assert title_of(content) == title


@pytest.mark.parametrize("mark", "`~-*=")
def test_marks_without_end_are_read_once(mark: str) -> None:
    """For each of 10,000 marks, the expression had gone back to all others: two seconds for one title."""
    assert title_of(mark * 9_999 + " x") == mark * (TITLE_LENGTH - 1) + "…"
