"""Recognizes passwords that are guessed first: the most common ones, and the account's own name or address."""

from zxcvbn.frequency_lists import FREQUENCY_LISTS

from server.text import characters

MOST_USED = 10_000

_most_used = frozenset(FREQUENCY_LISTS["passwords"][:MOST_USED])


def is_common(password: str) -> bool:
    """Return whether this is one of the most common passwords, ignoring case and surrounding spaces."""
    return _folded(password) in _most_used


def is_own(password: str, email: str, name: str) -> bool:
    """Return whether the letters and digits are those of the address, of the part before its @, or of the name."""
    return _letters(password) in map(_letters, (email, email.partition("@")[0], name))


def _folded(text: str) -> str:
    return characters.normalize("NFKC", text).strip().casefold()


def _letters(text: str) -> str:
    """Return the letters and digits of the text, or the whole text if there are none."""
    folded = _folded(text)
    return "".join(character for character in folded if character.isalnum()) or folded
