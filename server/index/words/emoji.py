"""Words for emoji: one that stands for the sign itself, and the name of a thing that it shows."""

import re
import unicodedata

from server.index.words.notations import in_letters

EMOJI = re.compile(
    "[\U0001f1e6-\U0001f1ff]{2}|[\u231a-\u23ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]"  # a flag, or one
)

_THING = re.compile(
    "[\u2615\u26bd\u26be\u2708\U0001f300-\U0001f3fa\U0001f400-\U0001f43f\U0001f451-\U0001f462\U0001f484-\U0001f48e"
    "\U0001f4b0-\U0001f4ff\U0001f680-\U0001f6ff\U0001f950-\U0001f96f\U0001f980-\U0001f9cb\U0001f9e0-\U0001fadf]"
)
"""Food, animals, plants, sports, vehicles and other things. Faces, gestures and hearts are moods, which people do not
look for by their names.
"""

_NO_THING = re.compile(r"\b(?:face|sign|symbol|with|of|and|black|white|heavy)\b")


def spelled(text: str) -> str:
    """Return the text with a word for each emoji, because both databases drop symbols."""
    return EMOJI.sub(lambda match: f" emoji{in_letters(match[0].encode('utf-32-be').hex())} ", text)


def names(text: str) -> str:
    """Return what the emoji of a text show, in words: pizza, guitar. Unicode never changes a name."""
    if text.isascii():
        return ""
    return " ".join(_NO_THING.sub("", unicodedata.name(thing, "").lower()) for thing in _THING.findall(text))
