"""Writes nouns with their number or article."""


def count(number: int, singular: str, plural: str | None = None) -> str:
    """Return `1 memory`, `12,000 memories`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def with_article(noun: str) -> str:
    """Return `a member`, `an admin`."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
