"""Other spellings of words, which the index stores beside the words of a text.

People write Müller as Mueller and Đoković as Djoković, Serbian and Macedonian in Cyrillic or in Latin letters, and long
numbers in groups or as a whole. Hebrew writes the article and short prepositions as part of the next word.
"""

import re

from server import characters

_UMLAUT = re.compile("[äöüåøÄÖÜÅØ]")
_WITH_D = re.compile("[äöüåøđÄÖÜÅØĐ]")
_VIETNAMESE = re.compile("[ăâêôơưĂÂÊÔƠƯ\u1ea0-\u1ef9]")
_SPELLED_OUT = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "Å": "Aa", "Ø": "Oe"}
    | {"đ": "dj", "Đ": "Dj"}
)

_CYRILLIC_LETTERS, _LATIN_LETTERS = "абвгдђежзијклмнопрстћуфхцчшѓќѐѝ", "abvgdđežzijklmnoprstćufhcčšǵḱei"
_DIGRAPHS = {"љ": "lj", "њ": "nj", "џ": "dž", "ѕ": "dz"}
_IN_LATIN = str.maketrans(_CYRILLIC_LETTERS, _LATIN_LETTERS) | str.maketrans(_DIGRAPHS)
_CYRILLIC = re.compile("[\u0400-\u052f]")
_OTHER_CYRILLIC = re.compile(f"(?![{_CYRILLIC_LETTERS}{''.join(_DIGRAPHS)}])[\u0400-\u052f]", re.IGNORECASE)
_CERTAINLY_SERBIAN = re.compile("[ђјљњћџѓѕќ]", re.IGNORECASE)

_GROUPS = re.compile(
    r"(?<![A-Za-z\d_.,:-])(?:\d{2,5}(?: \d{2,5}){2,6}"  # a card, a phone number
    r"|[A-Za-z]{2}\d\d(?: [A-Za-z\d]{4}){2,7}(?: [A-Za-z\d]{1,3})?"  # an IBAN
    r"|(?:[\dA-Fa-f]{2}:){5}[\dA-Fa-f]{2}"  # the address of a network card
    r"|(?<!/)[A-Za-z\d]{1,6}(?:/\d{1,6}){2,3}(?!/))(?![A-Za-z\d_:]|[.,]\d)"  # an invoice, a date
)
_DIGIT = re.compile(r"[\dA-Fa-f]")
LEAST_JOINED = 8
"""Groups with fewer digits in total are not joined: they are numbers in a row."""

_PHONE = re.compile(
    r"(?<![A-Za-z\d_.,:/+-])(?:(?:\+|00)\d[\d ()./-]{6,20}\d"  # +49 (0)30 901-820
    r"|\(\d{2,5}\) ?\d[\d ./-]{3,12}\d"  # (415) 555-2671
    r"|0\d{1,4}[ /-]{1,3}\d[\d -]{3,12}\d)(?![A-Za-z\d_]|[.,:]\d)"  # 030/901820
)
LONGEST_COUNTRY_CODE = 3
MOST_JOINED = 15
"""No phone number has more digits."""

_PAIR = re.compile(r"(?<![\d.,:])(\d{1,3}(?:,\d{3})+|\d+)([.:])(\d{1,2})(?!\d|[.,:]\d)")
"""A number with a point, or a time: 3.5, 1,250.50, 14:30."""

_LETTERS = str.maketrans("0123456789.:", "bcdfghjklmou")

_MONTHS = (
    *("january", "february", "march", "april", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
_OTHER_NAMES = {month[:3]: month for month in _MONTHS} | {month: month[:3] for month in _MONTHS}
_OTHER_NAMES |= {"sep": "september sept", "sept": "september sep", "september": "sep sept"}
"""The other names of each month that has several."""

_HAS_DIGIT = re.compile(r"\d")

_HEBREW = re.compile("[\u05d0-\u05ea]")
_WITH_PREFIX = re.compile(
    "(?<![\\w\u05be'\"\u05f3\u05f4-])(?=[\u05d0-\u05ea'\"\u05be\u05f3\u05f4-]{4})"
    "(\u05d5?(?:\u05db?\u05e9)?[\u05d1\u05db\u05dc\u05de]?\u05d4?)"  # and, when, that, in, as, to, from, the
    "([\u05d0-\u05ea'\"\u05be\u05f3\u05f4-]*)"
)
_ARTICLE = "\u05d4"
MOST_PREFIXES = 2
LEAST_IN_TEXT, LEAST_IN_QUESTION = 3, 4
"""The fewest letters of a Hebrew word without its prefix. Many words begin with such a letter that is no prefix."""


def joined(text: str) -> str:
    """Return the numbers that a text has in parts, each as one word: `4111 1111 1111 1111` without its blanks, colons
    or slashes, a phone number as `_dialed`, and `3.5` and `14:30` in letters, because 35 is another number.
    """
    if not _HAS_DIGIT.search(text):
        return ""
    groups = (re.sub("[ :/]", "", group) for group in _GROUPS.findall(text))
    words = [group for group in groups if len(_DIGIT.findall(group)) >= LEAST_JOINED]
    words += [number for phone in _PHONE.findall(text) for number in _dialed(phone)]
    words += [f"{''.join(pair)}q".replace(",", "").translate(_LETTERS) for pair in _PAIR.findall(text)]
    return " ".join(words)


def other_months(text: str) -> str:
    """Return the other names of the months in dates: `jun` for June 7 and 7 June, and `june` for Jun 7."""
    if not _HAS_DIGIT.search(text):
        return ""
    words = text.split()
    others = ((place, _OTHER_NAMES.get(word.strip("(.,;:)").lower())) for place, word in enumerate(words))
    return " ".join(
        other for place, other in others if other and _HAS_DIGIT.search(" ".join(words[max(place - 1, 0) : place + 2]))
    )


def _dialed(phone: str) -> list[str]:
    """Return the digits as people dial them: with the code of the country, and without it, with and without a 0.

    A code has one to three digits, and nothing tells how many.
    """
    number = re.sub(r"\D", "", phone.replace("(0)", ""))
    is_international = phone.startswith(("+", "00"))
    number = number.removeprefix("00") if is_international else number
    if not LEAST_JOINED <= len(number) <= MOST_JOINED:
        return []
    if not is_international:
        return [number, number.removeprefix("0")] if number.startswith("0") else [number]
    national = [number[length:] for length in range(1, LONGEST_COUNTRY_CODE + 1)]
    return [number, *national, *(f"0{rest}" for rest in national)]


def spelled_out(text: str) -> str:
    """Return the words with umlauts as people write them without: `Mueller` for Müller. So also `Djoković`, but no word
    of a Vietnamese text.
    """
    if text.isascii():
        return ""
    text = characters.normalize("NFC", text)
    pattern = _UMLAUT if _VIETNAMESE.search(text) else _WITH_D
    return " ".join(filter(pattern.search, text.split())).translate(_SPELLED_OUT)


def in_latin(text: str) -> str:
    """Return the Cyrillic words of a text in Latin letters, if the text may be Serbian or Macedonian."""
    if text.isascii() or not _CYRILLIC.search(text):
        return ""
    text = characters.normalize("NFC", text)
    if _OTHER_CYRILLIC.search(text):
        return ""
    return " ".join(filter(_CYRILLIC.search, text.split())).lower().translate(_IN_LATIN)


def without_prefixes(text: str, least: int) -> str:
    """Return the Hebrew words of a normalized text without the words that Hebrew writes before them: `key` for thekey
    and fromthekey. At least three letters are left after the article, and `least` after the others.
    """
    if not _HEBREW.search(text):
        return ""
    words: list[str] = []
    for prefixes, rest in _WITH_PREFIX.findall(text):
        for length in range(1, min(len(prefixes), MOST_PREFIXES) + 1):
            word = prefixes[length:] + rest
            if len(word) >= (LEAST_IN_TEXT if prefixes[length - 1] == _ARTICLE else least):
                words.append(word)
    return " ".join(words)


def is_cyrillic(term: str) -> bool:
    return bool(_CYRILLIC.search(term))


def is_certainly_serbian(text: str) -> bool:
    """Return whether a text that `in_latin` has words of cannot be in Russian or Bulgarian."""
    return bool(_CERTAINLY_SERBIAN.search(text))
