"""Reads what Google Takeout exports of Gemini: a list of activities, each a question and its answer as HTML."""

import re
from collections.abc import Iterator

from server.domain.memory.exchange.chat_parts import FILES, objects_in
from server.domain.memory.exchange.conversations import Chat, Utterance, count_left_out, exchanges
from server.domain.memory.exchange.entries import Entry, Foreign, Warnings
from server.domain.memory.exchange.html_text import text_of_html

_HEADERS = ("Gemini", "Bard")
_VERB = re.compile(r"(?:Prompted|Asked|Said|Answered|Branched)(?: with:| Gemini:| Bard:)?\s+")
_ATTACHMENTS = ("attachedFiles", "imageFile", "audioFiles")


def is_activity(value: Foreign) -> bool:
    return all(isinstance(value.get(name), str) for name in ("header", "title", "time"))


def read_activity(place: str, activity: Foreign, warnings: Warnings) -> Iterator[Entry]:
    """Yield the question and its answer. Other activities are counted in `warnings`."""
    if not str(activity["header"]).startswith(_HEADERS):
        warnings.add("activities in other Google products were left out", activity["header"])
        return
    verb = _VERB.match(activity["title"])
    answer = "\n".join(text_of_html(str(part.get("html") or "")) for part in objects_in(activity.get("safeHtmlItem")))
    if not verb and not answer:
        warnings.add("activities in Gemini other than questions were left out", activity["title"])
        return
    count_left_out([FILES for name in _ATTACHMENTS if activity.get(name)], warnings)
    question = activity["title"][verb.end() :] if verb else activity["title"]
    said = [Utterance("user", question, activity["time"]), Utterance("assistant", answer, activity["time"])]
    yield from exchanges(place, Chat("Gemini", None, "", activity["time"]), said)
