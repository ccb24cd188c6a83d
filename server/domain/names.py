"""What names and e-mail addresses may be, and how they are compared."""

import re
import unicodedata

from server.errors import Invalid

_ATOM = r"[^\s@<>\"(),:;\\\[\].]+"
_EMAIL = re.compile(rf"(?=.{{1,64}}@){_ATOM}(?:\.{_ATOM})*@(?:localhost|{_ATOM}(?:\.{_ATOM})+)")
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = frozenset("\u200c\u200d")
_PUNCTUATION = frozenset(" -_'.&")


def parse_name(name: str) -> str:
    """The name without outer blanks: 2-100 letters and marks of any script, digits, spaces and `-_'.&`.

    Raises Invalid.
    """
    text = unicodedata.normalize("NFC", name).strip()
    if not 2 <= len(text) <= 100 or not all(c in _PUNCTUATION or unicodedata.category(c)[0] in "LMN" for c in text):
        raise Invalid("use 2 to 100 letters, digits, spaces or any of - _ ' . &", field="name")
    return text


def key_of(name: str) -> str:
    """The form in which names are unique: compatibility-normalised and casefolded."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def parse_person_name(name: str) -> str:
    """A person's name: at most 100 characters on one line. Raises Invalid."""
    text = unicodedata.normalize("NFC", name).strip()
    if len(text) > 100 or not is_one_line(text):
        raise Invalid("use at most 100 characters, without line breaks or other control characters.", field="name")
    return text


def is_one_line(text: str) -> bool:
    """No control characters, and nothing that turns the direction of what follows; joiners are part of words."""
    return not any(unicodedata.category(c) in _UNSEEN and c not in _JOINERS for c in text)


def parse_email(address: str) -> str:
    """The address as it is stored and compared: normalised and casefolded. Raises Invalid."""
    text = fold_email(address)
    if len(text) > 254 or not _EMAIL.fullmatch(text) or not text.isprintable():
        raise Invalid("this is not an e-mail address.", field="parse_email")
    return text


def fold_email(address: str) -> str:
    """As `email`, of any text at all."""
    return unicodedata.normalize("NFKC", address).strip().casefold()
