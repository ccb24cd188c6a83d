"""One form for the simplified, traditional, regional and Japanese forms of a Han character.

OpenCC's tables say which forms belong together. Each character is converted by itself. So a text and a question get
the same form, even if the characters beside it differ.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache

HAN = "\u3005-\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af"
"""The ranges of Han characters, for a class of a regular expression."""

_CHARACTERS = [*map(chr, range(0x3400, 0xA000))]
"""Those beyond are rare."""

_CONVERSIONS = ("t2s", "tw2t", "hk2t", "jp2t")
"""To simplified, and from the forms of Taiwan, Hong Kong and Japan to traditional."""

_OTHERS_IN_CHINESE = "予欠沪"
"""In Japan these are short forms of 豫, 缺 and 濾. In China they are other common words: give, owe, Shanghai."""

_IN_NAMES = ("髙﨑𠮷邉冨嶋嶌濵槗栁", "高崎吉辺富島島浜橋柳")
"""Forms in Japanese names, and below each the usual one."""

_RADICALS = (
    "⺠⻁⻄⻅⻆⻋⻑⻒⻓⻔⻘⻙⻚⻛⻜⻝⻢⻣⻤⻥⻦⻧⻨⻩⻪⻫⻬⻭⻮⻯⻰⻱⻲",
    "民虎西见角车長長长门青韦页风飞食马骨鬼鱼鸟卤麦黄黾斉齐歯齿竜龙龜亀",
)
"""Radicals that a copy from a PDF has in the place of characters, and below each the character. Unicode does not
decompose these, as it does the others.
"""

_CHANGED = re.compile(f"[{HAN}\u2ea0-\u2ef2]")


def fold_han(text: str) -> str:
    """Return the text with one form for all forms of a Han character. The length does not change."""
    return text.translate(_one_form()) if _CHANGED.search(text) else text


@cache  # Building it takes 0.1 s, and most servers never meet a Han character.
def _one_form() -> Mapping[int, str]:
    form_of: dict[str, str] = {}
    for character, other in _same():
        one, another = _last(form_of, character), _last(form_of, other)
        if one != another:
            form_of[one] = another
    return {ord(character): _last(form_of, character) for character in form_of}


def _last(form_of: Mapping[str, str], character: str) -> str:
    while character in form_of:
        character = form_of[character]
    return character


def _same() -> Iterable[tuple[str, str]]:
    """Yield pairs of characters that are forms of one."""
    import opencc  # noqa: PLC0415 - loads its tables

    yield from zip(*_IN_NAMES, strict=True)
    yield from zip(*_RADICALS, strict=True)
    for conversion in _CONVERSIONS:
        converted = opencc.OpenCC(conversion).convert("\n".join(_CHARACTERS)).split("\n")
        for character, other in zip(_CHARACTERS, converted, strict=True):
            if character != other and not (conversion == "jp2t" and character in _OTHERS_IN_CHINESE):
                yield character, other
