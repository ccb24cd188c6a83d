"""Writes numbers together with what they count."""


def count(number: int, singular: str, plural: str | None = None) -> str:
    """Return `1 memory`, `12,000 memories`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"
