"""Other spellings of words, which the index stores beside the words of a text.

People write Müller as Mueller and Đoković as Djoković, and Serbian and Macedonian in Cyrillic or in Latin letters.
Hebrew writes the article and short prepositions as part of the next word, Arabic and Amharic the prepositions.
"""

import re

from server.text import characters

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

_PREFIXED = re.compile("[\u05d0-\u05ea\u0621-\u064a\u1208-\u12e8]")
_WITH_PREFIX = re.compile(
    "(?<![\\w\u05be'\"\u05f3\u05f4-])(?=[\u05d0-\u05ea'\"\u05be\u05f3\u05f4-]{4})"
    "(\u05d5?(?:\u05db?\u05e9)?[\u05d1\u05db\u05dc\u05de]?\u05d4?)"  # and, when, that, in, as, to, from, the
    "([\u05d0-\u05ea'\"\u05be\u05f3\u05f4-]*)"
)
_WITH_ARABIC_PREFIX = re.compile(
    "(?<!\\w)(?![\u0648\u0641]?[\u0628\u0643]?\u0627\u0644|[\u0648\u0641]?\u0644\u0644)"  # not the article
    "([\u0648\u0641]?[\u0628\u0643\u0644]?)([\u0621-\u064a]+)(?!\\w)"  # and, then, in, as, to
)
_WITH_AMHARIC_PREFIX = re.compile("(?<!\\w)([\u12e8\u1208\u1260\u12a8])([\u1200-\u135a]+)(?!\\w)")  # of, to, in, from
_OTHER_ARABIC = re.compile("[\u0671-\u06d3]")
"""Letters of Persian, Urdu and others, which have no such prefixes."""

_ARTICLE = "\u05d4"
MOST_PREFIXES = 2
LEAST_IN_TEXT, LEAST_IN_QUESTION = 3, 4
"""The fewest letters of a word without its prefix. Many words begin with such a letter that is no prefix."""


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


def without_prefixes(text: str, least: int) -> list[tuple[str, str]]:
    """Return the words of a normalized text that may have prefixes, each with what is left without some of these: in
    Hebrew, Arabic and Amharic, `key` for thekey and fromthekey. At least three letters are left after the Hebrew
    article, and `least` after the others.
    """
    if not _PREFIXED.search(text):
        return []
    found = [*_WITH_PREFIX.findall(text), *_WITH_AMHARIC_PREFIX.findall(text)]
    if not _OTHER_ARABIC.search(text):
        found += _WITH_ARABIC_PREFIX.findall(text)
    words: list[tuple[str, str]] = []
    for prefixes, rest in found:
        for length in range(1, min(len(prefixes), MOST_PREFIXES) + 1):
            word = prefixes[length:] + rest
            if len(word) >= (LEAST_IN_TEXT if prefixes[length - 1] == _ARTICLE else least):
                words.append((prefixes + rest, word))
    return words


def is_cyrillic(term: str) -> bool:
    return bool(_CYRILLIC.search(term))


def is_certainly_serbian(text: str) -> bool:
    """Return whether a text that `in_latin` has words of cannot be in Russian or Bulgarian."""
    return bool(_CERTAINLY_SERBIAN.search(text))
