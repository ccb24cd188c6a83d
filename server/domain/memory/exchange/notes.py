"""Reads the JSON of note programs: Google Keep, with one file a note, Day One, with one file a journal, and Standard
Notes, with one file for all.
"""

import re
from collections.abc import Iterator

from server.domain.memory.exchange.chat_parts import object_in, objects_in
from server.domain.memory.exchange.conversations import title_of
from server.domain.memory.exchange.entries import Entry, Foreign, Warnings
from server.domain.memory.exchange.moments import times_of
from server.domain.memory.exchange.records import DELETED, is_deleted
from server.domain.memory.exchange.texts import cut, storable
from server.domain.memory.metadata import is_blank
from server.errors import Invalid

LONGEST_NOTE = 20_000
"""The longest text of a note in Google Keep. A link of a longer one is added even if the rest has it, because each link
is looked for in the text.
"""

_ATTACHED = "images and files attached to notes were left out: only text is imported"
_WITHOUT_TEXT = "notes without text were left out"
_MOMENT = re.compile(r"!\[[^\[\]]*+\]\(dayone-moment:[^()]*+\)")
"""An attachment. Where it could begin again it ends, so that a text is read once."""

_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_OF_DAY_ONE = ("photos", "videos", "audios", "pdfAttachments")


def is_keep(value: Foreign) -> bool:
    return "userEditedTimestampUsec" in value and "isTrashed" in value


def is_day_one(value: Foreign) -> bool:
    has_parts = not value.keys().isdisjoint(("text", "timeZone", *_OF_DAY_ONE))  # Things, too, has the other names
    return has_parts and "creationDate" in value and "uuid" in value


def is_standard_note(value: Foreign) -> bool:
    return "content_type" in value and (isinstance(value.get("content"), dict) or "enc_item_key" in value)


def read_keep(place: str, note: Foreign, warnings: Warnings) -> Iterator[Entry]:
    """Yield the note. Deleted and empty notes and attachments are counted in `warnings`."""
    if note["isTrashed"]:
        warnings.add(DELETED, str(note.get("title") or place))
        return
    for _ in objects_in(note.get("attachments")):
        warnings.add(_ATTACHED)
    items = [
        f"- [{'x' if item.get('isChecked') else ' '}] {item.get('text')}"
        for item in objects_in(note.get("listContent"))
    ]
    text = "\n".join(filter(None, [str(note.get("textContent") or ""), *items]))
    links = [str(link.get("url") or "") for link in objects_in(note.get("annotations"))]
    beginning = text[:LONGEST_NOTE]
    text = "\n".join([text, *(link for link in links if link not in beginning)]).strip()
    title = title_of(note.get("title"))
    metadata: Foreign = {"source": "google-keep"} | ({"title": title} if title else {})
    if labels := [str(label.get("name")) for label in objects_in(note.get("labels"))]:
        metadata["tags"] = labels
    edited = note["userEditedTimestampUsec"]
    yield from _entries(place, f"{title}\n\n{text}".strip(), warnings, {
        "metadata": metadata, "source": "Google Keep", "pinned": bool(note.get("isPinned")),
        **times_of(note.get("createdTimestampUsec") or edited, edited),
    }, title)  # fmt: skip


def read_day_one(place: str, entry: Foreign, warnings: Warnings) -> Iterator[Entry]:
    """Yield the entry of a journal. Photos and other attachments are counted in `warnings`."""
    for name in _OF_DAY_ONE:
        for _ in objects_in(entry.get(name)):
            warnings.add(_ATTACHED)
    text = _ESCAPED.sub(r"\1", _MOMENT.sub("", str(entry.get("text") or ""))).strip()
    metadata: Foreign = {"source": "day-one"}
    if isinstance(entry.get("tags"), list):
        metadata["tags"] = [str(tag) for tag in entry["tags"]]
    if place_name := object_in(entry.get("location")).get("placeName"):
        metadata["place"] = str(place_name)
    yield from _entries(place, text, warnings, {
        "metadata": metadata, "source": "Day One", "pinned": bool(entry.get("isPinned")),
        **times_of(entry["creationDate"], entry.get("modifiedDate")),
    })  # fmt: skip


def read_standard_note(place: str, item: Foreign, warnings: Warnings) -> Iterator[Entry]:
    """Yield the note. Deleted and empty notes, and all that is no note, are counted in `warnings`.

    Raises Invalid if it is encrypted.
    """
    content = item.get("content")
    if isinstance(content, str):
        raise Invalid("is encrypted. In Standard Notes, create a decrypted backup, and import that.", field=place)
    note = object_in(content)
    title = title_of(note.get("title"))
    if item["content_type"] != "Note":
        warnings.add("tags, settings and files of Standard Notes were left out", title)
    elif is_deleted(item) or is_deleted(note):
        warnings.add(DELETED, title or place)
    else:
        about = object_in(object_in(note.get("appData")).get("org.standardnotes.sn"))
        text = f"{title}\n\n{note.get('text') or ''}".strip()
        metadata = {"source": "standard-notes"} | ({"title": title} if title else {})
        yield from _entries(place, text, warnings, {
            "metadata": metadata, "source": "Standard Notes", "pinned": bool(about.get("pinned")),
            **times_of(item.get("created_at"), about.get("client_updated_at") or item.get("updated_at")),
        }, title)  # fmt: skip


def _entries(place: str, text: str, warnings: Warnings, fields: Foreign, group: str = "") -> Iterator[Entry]:
    """Yield the note, in several memories if it is too long for one."""
    if is_blank(text):
        warnings.add(_WITHOUT_TEXT)
    for content in cut(storable(text)):
        yield Entry(place, fields | {"content": content}, group)
