"""The title of a memory, which lists, pages and assistants show."""

import time

import pytest

from server.domain.memory.excerpts import title_of


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
    ],
)
def test_the_first_line_that_says_something_is_the_title(content: str, title: str) -> None:
    assert title_of(content) == title


def test_the_title_of_a_text_of_markers_is_found_in_linear_time() -> None:
    began = time.process_time()
    title_of("---\n" * 25_000 + " " * 50_000 + "-" * 50_000 + "x")
    assert time.process_time() - began < 1
