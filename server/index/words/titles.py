"""The names and labels of a memory, which are in its metadata."""

from collections.abc import Mapping, Sequence

from server.index.words.tokenizer import indexed_terms

_NAMES = ("title", "aliases", "alias")
"""The title, and what Obsidian and Logseq call the other names of a note."""

_LABELS = ("tags", "people_mentioned", "topic_category")


def title_in(details: Mapping[str, object]) -> str:
    """Return the title on one line, or "" if the metadata has none."""
    return _line_of(details.get("title"))


def names_in(details: Mapping[str, object]) -> str:
    """Return the title and the aliases, one a line."""
    return _lines_of(details, _NAMES)


def words_beside(details: Mapping[str, object]) -> str:
    """Return what is searched with the text of a memory: its names, tags, people and category, one a line."""
    return _lines_of(details, (*_NAMES, *_LABELS))


def memory_terms(content: str, details: Mapping[str, object]) -> list[str]:
    """Return the terms that the word index stores for a memory: those of `words_beside`, then those of its text."""
    beside = words_beside(details)
    return indexed_terms(f"{beside}\n{content}" if beside else content)


def _lines_of(details: Mapping[str, object], keys: Sequence[str]) -> str:
    values: list[object] = []
    for key in keys:
        value = details.get(key)
        values += value if isinstance(value, list) else [value]
    return "\n".join(filter(None, map(_line_of, values)))


def _line_of(name: object) -> str:
    is_name = isinstance(name, str | int | float) and not isinstance(name, bool)
    return " ".join(str(name).split()) if is_name else ""
