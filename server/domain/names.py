"""Checks names and email addresses, and converts them to the form that is stored or compared."""

import re
import unicodedata

from server.errors import Invalid
from server.models import Organization, Project
from server.models.base import now
from server.models.organizations import OrganizationKind
from server.network import domain_names
from server.text import characters

_ATOM = r"[^\s@<>\"(),:;\\\[\].]+"
_EMAIL = re.compile(rf"(?=.{{1,64}}@){_ATOM}(?:\.{_ATOM})*@(?:localhost|{_ATOM}(?:\.{_ATOM})+)")
_INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = frozenset("\u200c\u200d")
_PUNCTUATION = frozenset(" -_'.&\u00b7\u05be\u05f3\u05f4\u30fb")
"""Also the signs within words of Catalan, Hebrew and Japanese."""

_HEBREW_QUOTE = re.compile('(?<=[\u05d0-\u05ea])"(?=[\u05d0-\u05ea])')
"""What a keyboard has for the mark of a Hebrew abbreviation, such as Ltd."""

_JOINED = re.compile(r"(?<=[\u0600-\u1bff])[\u200c\u200d](?=[\u0600-\u1bff])")
"""A joiner inside a word. Arabic, Persian and the scripts of India need it, and Latin does not."""


def parse_name(name: str, field: str = "name") -> str:
    """Return the name of a project or organization, normalized and stripped. `field` is what the caller calls it.

    Raises Invalid unless it is 2 to 100 letters and marks of any script, digits, spaces and `-_'.&`.
    """
    text = as_stored(name)
    visible = _JOINED.sub("", text)
    if not 2 <= len(text) <= 100 or not all(c in _PUNCTUATION or unicodedata.category(c)[0] in "LMN" for c in visible):
        raise Invalid("use 2 to 100 letters, digits, spaces or any of - _ ' . &", field=field)
    return text


def as_stored(name: str) -> str:
    """Return the name stripped, composed, and with the apostrophes, dashes and spaces of a keyboard, but with the
    quotation mark of Hebrew.
    """
    text = characters.normalize("NFC", name).translate(characters.AS_TYPED).strip()
    text = _HEBREW_QUOTE.sub("\u05f4", text)
    return "".join(" " if unicodedata.category(c) == "Zs" else c for c in text)


def key_of(name: str) -> str:
    """Return the form in which names must be unique: NFKC and case-folded, without invisible joiners."""
    visible = "".join(c for c in name if c not in _JOINERS)
    return characters.normalize("NFKC", characters.normalize("NFKC", visible).casefold())


def order_of(name: str) -> tuple[str, str]:
    """Return the key by which lists of names are sorted: without case and accents, so that Ä is beside A."""
    if name.isascii():  # each page sorts all projects of a person
        return name.casefold(), name
    letters = characters.normalize("NFD", key_of(name))
    return "".join(c for c in letters if not "\u0300" <= c <= "\u036f"), name


def rename(row: Organization | Project, name: str) -> bool:
    """Rename the row. Return whether its name changed. Raises Invalid."""
    cleaned = parse_name(name)
    if cleaned == row.name:
        return False
    row.name, row.name_key, row.updated_at = cleaned, key_of(cleaned), now()
    return True


def parse_person_name(name: str) -> str:
    """Return a person's name, normalized and stripped. Raises Invalid unless it is one line of up to 100 characters."""
    text = characters.normalize("NFC", name).strip()
    if len(text) > 100 or not is_one_line(text):
        raise Invalid("use at most 100 characters, without line breaks or other control characters.", field="name")
    return text


def parse_line(name: str, longest: int) -> str:
    """Return the name of a key or a view, stripped. Raises Invalid unless it is one line of at most `longest`
    characters.
    """
    text = name.strip()
    if not 1 <= len(text) <= longest or not is_one_line(text):
        raise Invalid(f"use 1 to {longest} characters on one line.", field="name")
    return text


def is_one_line(text: str) -> bool:
    """Return whether the text has no line breaks, control characters or characters that change the text direction.

    Joiners are allowed, because some scripts need them inside words.
    """
    return not any(unicodedata.category(c) in _INVISIBLE_CATEGORIES and c not in _JOINERS for c in text)


def shown_on_one_line(text: str) -> str:
    """Return the text on one line, without control, direction or invisible characters."""
    if not (text.isascii() and text.isprintable()):  # checking each character is slower than a query
        text = "".join(c for c in text if c.isspace() or unicodedata.category(c)[0] != "C")
    return " ".join(text.split())


def title_for_others(organization: Organization, owner_name: str) -> str:
    """Return the organization's name for people who do not own it, with the owner's name if it is personal.

    All personal organizations have the same name.
    """
    is_personal = organization.kind == OrganizationKind.PERSONAL
    return f"{organization.name} ({owner_name})" if is_personal else organization.name


def parse_email(address: str) -> str:
    """Return the address in its stored form: NFKC, in lower case, its domain in letters. Raises Invalid if it is not
    an address.
    """
    text = fold_email(address)
    if len(text) > 254 or not _EMAIL.fullmatch(text) or not text.isprintable():
        raise Invalid("this is not an email address such as name@example.com.", field="email")
    return text


def fold_email(address: str) -> str:
    """Return any text in the form of `parse_email`, without checking it."""
    name, at, domain = characters.normalize("NFKC", address).strip().lower().rpartition("@")
    return name + at + domain_names.in_letters(domain)
