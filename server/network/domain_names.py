"""Domain names outside ASCII: in letters, as people read them, and in the ASCII of mail addresses."""

import unicodedata
from email.headerregistry import Address

from server.text import characters

PREFIX = "xn--"
LONGEST_LABEL = 63
"""How long a part between two dots may be (RFC 1035). The time of decoding grows faster than the length."""


def in_letters(domain: str) -> str:
    """Return a domain in lower case with the letters that its parts stand for: `münchen.de` for `xn--mnchen-3ya.de`.

    Chrome sends the latter from an email field, and Firefox the former. A part that stands for no letters stays.
    """
    return ".".join(_letters_of(label) for label in domain.split("."))


def in_ascii(domain: str) -> str:
    """Return the domain of `in_letters` as the domain name system knows it."""
    return ".".join(label if label.isascii() else _ascii_of(label) for label in domain.split("."))


def _letters_of(label: str) -> str:
    if not label.startswith(PREFIX) or not label.isascii() or len(label) > LONGEST_LABEL:
        return label
    try:
        letters = label.removeprefix(PREFIX).encode("ascii").decode("punycode")
    except UnicodeError:
        return label
    is_plain = all(letter == "-" or unicodedata.category(letter)[0] in "LMN" for letter in letters)
    is_folded = is_plain and letters == characters.normalize("NFKC", letters).lower()
    return letters if is_folded and not letters.isascii() and _ascii_of(letters) == label else label


def _ascii_of(label: str) -> str:
    return PREFIX + label.encode("punycode").decode("ascii")


def mail_address(name: str, address: str) -> Address:
    """Return an address that may have letters outside ASCII. Raises ValueError.

    Its domain is sent in ASCII, which every server takes. Letters before the @ need SMTPUTF8 (RFC 6531). `Address`
    refuses them when it checks an address, so others stand for them there.
    """
    username, _, domain = address.rpartition("@")
    ascii_domain = in_ascii(domain)
    stand_in = "".join(char if char.isascii() else "x" for char in username)
    try:
        checked = Address(name, addr_spec=f"{stand_in}@{ascii_domain}")
    except Exception as error:  # noqa: BLE001 - Python's parser raises many kinds
        raise ValueError(str(error)) from None
    return checked if username.isascii() else Address(name, username=username, domain=ascii_domain)
