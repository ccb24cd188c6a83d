"""The names of a memory, which are in its metadata, as imports of notes and conversations write them."""

from collections.abc import Mapping

from server.index.words.tokenizer import indexed_terms

_ALIASES = ("aliases", "alias")
"""What Obsidian and Logseq call the other names of a note."""


def title_in(details: Mapping[str, object]) -> str:
    """Return the title on one line, or "" if the metadata has none."""
    return _line_of(details.get("title"))


def names_in(details: Mapping[str, object]) -> str:
    """Return the title and the aliases, one a line."""
    names = [details.get("title")]
    for key in _ALIASES:
        value = details.get(key)
        names += value if isinstance(value, list) else [value]
    return "\n".join(filter(None, map(_line_of, names)))


def memory_terms(content: str, details: Mapping[str, object]) -> list[str]:
    """Return the terms that the word index stores for a memory: those of its names, then those of its text."""
    names = names_in(details)
    return indexed_terms(f"{names}\n{content}" if names else content)


def _line_of(name: object) -> str:
    is_name = isinstance(name, str | int | float) and not isinstance(name, bool)
    return " ".join(str(name).split()) if is_name else ""
