"""Normalizes the spelling of texts and questions, before a database indexes or searches them.

SQLite and Postgres fold letters differently, so we do it ourselves.
"""

import re
import unicodedata

from server.index.words.han import HAN, fold_han
from server.text import characters

_ACCENTS = (
    "\u0300-\u0305\u0307-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"  # Latin, Greek, Cyrillic
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"  # Hebrew points
    "\u093c\u0a3c"  # nuktas of Devanagari and Gurmukhi
    "\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u08d3-\u08ff"
)
"""Marks that people leave out. Vowel signs and tones of other scripts stay, because they distinguish words."""

INVISIBLE = (
    "\u00ad\u061c\u0640\u02b9-\u02bc\u02be\u02bf\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufe00-\ufe0f\ufeff"
    "\U0001f3fb-\U0001f3ff\U000e0100-\U000e01ef"
)
"""Soft hyphens, the tatweel, modifier apostrophes, spaces without width, joiners, directions, variants and skin
tones: they do not separate words.
"""

_DROPPED = re.compile(
    f"[{_ACCENTS}{INVISIBLE}]"
    "|(?<![\u0418\u0438])\u0306"  # breves, except on the Cyrillic short i, which is a different letter from i
)

_LETTERS = {
    "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "ħ": "h", "Ħ": "H", "ŧ": "t", "Ŧ": "T",
    "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ß": "ss", "ẞ": "SS", "þ": "th", "Þ": "TH",
    "\u0901": "\u0902",  # candrabindu and anusvara
    "ൺ": "ണ്", "ൻ": "ന്", "ർ": "ര്", "ൽ": "ല്", "ൾ": "ള്", "ൿ": "ക്",
    "ı": "i", "ς": "σ", "ی": "ي", "ک": "ك", "ى": "ي", "ة": "ه", "ہ": "ه", "ۃ": "ه",
    "ə": "e", "Ə": "E", "ɛ": "e", "Ɛ": "E", "ɔ": "o", "Ɔ": "O", "ŋ": "n", "Ŋ": "N",
    "ɓ": "b", "Ɓ": "B", "ɗ": "d", "Ɗ": "D", "ƙ": "k", "Ƙ": "K", "ƴ": "y", "Ƴ": "Y",
    "ٱ": "ا", "ە": "ه", "ھ": "ه", "ګ": "گ", "٬": ",", "٫": ".",
    "ך": "כ", "ם": "מ", "ן": "נ", "ף": "פ", "ץ": "צ", "װ": "וו", "ױ": "וי", "ײ": "יי",
    "ґ": "г", "Ґ": "Г", "\u0a70": "\u0a02", "\u0a81": "\u0a82", "ৎ": "ত্", "ஶ": "ஸ",
}  # fmt: skip
"""Letters that Unicode does not decompose, each with the letters that people write instead."""

_AMHARIC = (
    "ሐሑሒሓሔሕሖኀኁኂኃኄኅኆሃሠሡሢሣሤሥሦዐዑዒዓዔዕዖኣፀፁፂፃፄፅፆ",
    "ሀሁሂሀሄህሆሀሁሂሀሄህሆሀሰሱሲሳሴስሶአኡኢአኤእኦአጸጹጺጻጼጽጾ",
)
"""Ethiopic letters, and below each the one with the same sound in Amharic. People write either."""

_COUNTER = "か"  # 3か月, 3ヶ月
_KANA = {code: chr(code - 0x60) for code in (*range(0x30A1, 0x30F7), 0x30FD, 0x30FE)}
_KANA |= dict.fromkeys(map(ord, "ヵヶゕゖ"), _COUNTER)
"""Katakana, each with the hiragana."""

_TABLE = str.maketrans(_LETTERS) | str.maketrans(*_AMHARIC) | _KANA
_DIGIT = re.compile(r"[^\x00-\x7f\D]")

_KATAKANA, _HALF_WIDTH = "\u30a1-\u30fa", "\uff66-\uff9f"
_LONG_SIGNS = "\u2010\u2011\u2015\u2212\uff0d"
"""Hyphens and the like that people type for the sign of a long vowel, which looks the same."""

_LONG = re.compile(
    f"[-{_LONG_SIGNS}]"
    f"(?:(?<=[{_HALF_WIDTH}].)|(?<=[{_KATAKANA}][^-])|(?<=[{_KATAKANA}][\u3099\u309a][^-]))"
    f"(?=[\u3041-\u3096{_KATAKANA}{_HALF_WIDTH}\\s]|$)"
)
_COUNTED = re.compile(f"[ヶケｹ](?<=[0-9０-９{HAN}].)(?=[{HAN}])")  # 3ケ月, 霞ケ関
_LATE_TONE = re.compile("([\u0e4d\u0ecd])([\u0e48-\u0e4b\u0ec8-\u0ecb]+)")  # Thai and Lao vowel, then tone

_TRADEMARKS = re.compile("[\u2120\u2122]")  # LEGO™ is not LEGOTM
_SMALL_DIGIT = re.compile(
    "[\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u2089\u2150-\u215e\u2189](?<=[0-9].)"
)  # 5½ is not 51/2

_ARMENIAN_EV = re.compile("([Եե])([Ււ])")  # Երևան in capitals is ԵՐԵՎԱՆ, or ԵՐԵՒԱՆ

_BLOCKS = (0x900, 0xA80, 0xC00, 0xC80)  # Devanagari, Gujarati, Telugu, Kannada
_NASALS = "".join(chr(block + offset) for block in _BLOCKS for offset in (0x19, 0x1E, 0x23, 0x28, 0x2E))
_VIRAMAS = "".join(chr(block + 0x4D) for block in _BLOCKS)
_NASAL = re.compile(f"[{_NASALS}][{_VIRAMAS}](?=(.))")

_VOICED = re.compile("[\u309b\u309c](?<=[\u3041-\u3096\u30a1-\u30fa\uff66-\uff9d].)")  # marks beside kana
_IN_CONTEXT = re.compile(
    "[\u00b4\u02bb\u02bc\u0552\u0582\u0587\u0900-\u0dff\u0e00-\u0eff\u1780-\u17ff\u2e80-\u2fdf\u3005-\ufaff\uff66-\uff9f\U00020000-\U000323af]"
)
"""Characters of the scripts whose rules depend on more than one character, and Han."""


def normalize(text: str) -> str:
    """Return the text without accents and variants of letters and digits. Case does not change.

    A normalized text does not change. Marks that make a different letter stay: й is not и, が is not か.
    """
    if text.isascii():
        return text
    is_in_context = _IN_CONTEXT.search(text)
    if is_in_context:
        text = _with_common_codes(text)
    text = _SMALL_DIGIT.sub(r" \g<0>", _TRADEMARKS.sub("", text))
    letters = _DROPPED.sub("", characters.normalize("NFKD", text)).translate(_TABLE)
    if is_in_context:
        letters = _with_common_spellings(letters)
    return characters.normalize("NFC", _DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), letters))


def _with_common_codes(text: str) -> str:
    """Return a text that is not decomposed yet with one code for signs that look the same, where they mean the same."""
    for apostrophe in "\u00b4\u02bb\u02bc":
        text = text.replace(apostrophe, "'")
    text = _VOICED.sub(lambda mark: chr(ord(mark[0]) - 2), text)
    return _COUNTED.sub(_COUNTER, _LONG.sub("ー", text))


def _with_common_spellings(letters: str) -> str:
    """Return decomposed letters with one spelling for what is spelled in several ways."""
    letters = _NASAL.sub(_anusvara, _LATE_TONE.sub(r"\2\1", letters))
    letters = letters.replace("เเ", "แ").replace("\u17d2\u178a", "\u17d2\u178f")  # Khmer: they look the same
    letters = _ARMENIAN_EV.sub(lambda ev: ev[1] + ("Վ" if ev[2].isupper() else "վ"), letters)
    return fold_han(letters)


def _anusvara(match: re.Match[str]) -> str:
    """Return the dot that people write for a nasal before a stop of its own row: हिंदी for हिन्दी."""
    nasal = ord(match[0][0])
    is_own_row = 0 < nasal - ord(match[1]) <= 4
    return chr((nasal & ~0x7F) + 2) if is_own_row else match[0]


_SPELLINGS = {
    "ー": f"[ー{_LONG_SIGNS}-]",
    "แ": "(?:แ|เเ)",
    **{chr(block + 2): f"(?:{chr(block + 2)}|[{_NASALS}][{_VIRAMAS}])" for block in _BLOCKS},
}


def pattern_of(term: str) -> str:
    """Return the pattern of a normalized term, for texts whose characters were normalized one by one."""
    return "".join(_SPELLINGS.get(character, re.escape(character)) for character in term)


def normalized_alike(text: str) -> str:
    """Return the text with Han characters and kana normalized. The length does not change."""
    return fold_han(text.translate(_KANA)) if _IN_CONTEXT.search(text) else text
