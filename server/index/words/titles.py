"""The title of a memory, which is in its metadata, as imports of notes and conversations write it."""

from collections.abc import Mapping

from server.index.words.tokenizer import indexed_terms


def title_in(details: Mapping[str, object]) -> str:
    """Return the title on one line, or "" if the metadata has none."""
    title = details.get("title")
    is_named = isinstance(title, str | int | float) and not isinstance(title, bool)
    return " ".join(str(title).split()) if is_named else ""


def memory_terms(content: str, details: Mapping[str, object]) -> list[str]:
    """Return the terms that the word index stores for a memory: those of its title, then those of its text."""
    title = title_in(details)
    return indexed_terms(f"{title}\n{content}" if title else content)
