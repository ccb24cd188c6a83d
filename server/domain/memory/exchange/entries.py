"""The output of every format's reader: entries, and warnings about everything that was not read."""

from collections import Counter
from typing import Any, NamedTuple, TypeAlias

from server.text.spelling import not_a

Foreign: TypeAlias = dict[str, Any]
"""An object from another program. Nothing is known about it until it is checked."""

FIELDS = (
    *("content", "metadata", "user_id", "created_at", "updated_at", "messages", "version", "pinned"),
    *("expires_at", "expires_in_days", "source", "updated_source", "history"),
)  # fmt: skip
LABEL_FIELDS = ("tags", "people_mentioned", "topic_category")
STANDARD_INPUT = "standard input"
"""What errors call a text that is in no file, and so has no name."""

MOST_UNKNOWN = 100
NAME_LENGTH = 100


class Entry(NamedTuple):
    """The fields of a memory as they are in the file, and its place there ("line 3"). `group` is a conversation or
    file that a person may leave out as a whole.
    """

    place: str
    fields: Foreign
    group: str = ""


class Warnings:
    """Counts what was left out, by sentence, so that nothing is dropped silently."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def unknown(self, name: str) -> None:
        self.add(not_a_field(name).removesuffix("."))

    def add(self, sentence: str, example: str = "") -> None:
        """Count the sentence. Only its first example is kept."""
        if sentence not in self._counts and len(self._counts) >= MOST_UNKNOWN:
            sentence, example = "other warnings are not listed", ""
        self._counts[sentence] += 1
        self._examples.setdefault(sentence, example)

    def sentences(self) -> list[str]:
        return [self._with_count(sentence, count) for sentence, count in self._counts.items()]

    def _with_count(self, sentence: str, count: int) -> str:
        example = self._examples[sentence]
        such = f", such as {printable(example)[:NAME_LENGTH]}" if example else ""
        return f"{sentence}{such} ({count:,} {'time' if count == 1 else 'times'})"


def not_a_field(name: str) -> str:
    """Return a sentence that ends with the field that is probably meant."""
    return f"{printable(name)[:NAME_LENGTH]}: {not_a('field', name, FIELDS + LABEL_FIELDS)}"


def printable(name: str) -> str:
    """Return a name from a file so that it is safe in a sentence, without characters that could control a terminal."""
    return "".join(filter(str.isprintable, name))
