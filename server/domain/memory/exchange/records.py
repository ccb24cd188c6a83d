"""Reads records: our own lines, those of mem0, and similar ones with other field names."""

import contextlib
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Any

from server.domain.memory.exchange.chat_parts import from_json_text, objects_in
from server.domain.memory.exchange.entries import FIELDS, LABEL_FIELDS, Entry, Foreign, Warnings, not_a_field
from server.domain.memory.exchange.moments import UNREAD, is_moment, is_past, moment
from server.domain.memory.exchange.texts import cut
from server.domain.memory.inputs import join_parts
from server.domain.memory.metadata import CONTENT_LENGTH, is_blank
from server.errors import Invalid

CONTENT_NAMES = ("content", "memory", "text")
"""The names for the text. All mean the same, and the first one with a value is used."""

_OF_LANGCHAIN = ("page_content", "pageContent")
TEXT_NAMES = (*CONTENT_NAMES, *_OF_LANGCHAIN)
"""The same, with the names in documents of LangChain."""

_TIMES_OF_PROGRAMS = {
    "createdAt": "created_at", "updatedAt": "updated_at", "expiresAt": "expires_at", "deletedAt": "deleted_at",
    "createTime": "created_at", "updateTime": "updated_at",
    "creationDate": "created_at", "lastModified": "updated_at", "modificationDate": "updated_at",
}  # fmt: skip
"""The names that programs in JavaScript, those that follow Google's guide for APIs, and Simplenote give to times."""

TIMES = _TIMES_OF_PROGRAMS | {
    "created": "created_at", "updated": "updated_at", "timestamp": "created_at", "date": "created_at",
}  # fmt: skip
"""The same, with names that people use too, in the order in which they count."""

_TIMES_OF_MESSAGES = [name for name, ours in TIMES.items() if ours == "created_at"]

_DELETED_IF = ("deleted_at", "deleted", "is_deleted", "isDeleted", "trashed", "isTrashed")
"""Fields that say with any value but `_NO` that a record was deleted."""

_NO = frozenset({"", "0", "false", "no", "none", "null"})
"""Values for "no", as text: the cells of a table have no other."""

LAST_DAY = "expiration_date"
"""mem0's name for the last day on which a memory is true, in UTC."""

ABOUT_ANOTHER_SERVER = frozenset({"id", "hash", "score", "project_id", "organization_id", "event"})
"""Fields that mean something only on the server that the record comes from."""

MEM0_FIELDS = frozenset({"memory", "hash"})
"""mem0's export has both, and nothing else is known to."""

KEPT_IN_METADATA = frozenset({"agent_id", "run_id", "app_id", "actor_id", "title", "role"})
_KNOWN = (
    frozenset((*FIELDS, *LABEL_FIELDS, *TEXT_NAMES, *_DELETED_IF, "categories"))
    | ABOUT_ANOTHER_SERVER
    | KEPT_IN_METADATA
    | TIMES.keys()
)
MOST_NAMED = 3
"""An error names at most this many unknown fields."""

_LEFT_OUT = (None, "")

DELETED = "memories deleted in the other program were left out"
_WITHOUT_TEXT = "memories without text were left out"


def read_record(place: str, record: Foreign, warnings: Warnings, group: str = "") -> Iterator[Entry]:
    """Yield the record as an entry, unless the other program deleted it or wrote it without a text. A long text of
    another program becomes several entries. Unknown fields are counted in `warnings`.

    Raises Invalid if the text is missing, but a field has a similar name.
    """
    is_foreign = _is_foreign(record)
    if is_foreign and _has_no_text(record):
        warnings.add(_WITHOUT_TEXT, place)
        return
    record = _with_our_times(record)
    if is_deleted(record):
        warnings.add(DELETED, place)
        return
    fields: Foreign = {name: record[name] for name in FIELDS if record.get(name) not in _LEFT_OUT}
    texts = [record[name] for name in TEXT_NAMES if record.get(name) is not None]
    content = next(filter(None, texts), texts[0] if texts else None)
    if any(text not in (content, "") for text in texts):
        warnings.add(f"of several different texts, only the first of {', '.join(CONTENT_NAMES)} was read", place)
    if content is None and isinstance(record.get("messages"), list):
        content = _of_messages(record["messages"])
        if at := _first_time(record["messages"]):
            fields.setdefault("created_at", at)
    if record.keys() >= MEM0_FIELDS:
        fields.setdefault("source", "mem0")
    given = from_json_text(record.get("metadata") or {})  # text in the dump of a database
    if isinstance(given, dict):
        fields["metadata"] = _metadata(record, given)
    for name in ("created_at", "updated_at", "expires_at"):
        if name in fields:
            fields[name] = moment(fields[name])
    _count_unread(record, place, warnings)
    unknown = [name for name in record if name not in _KNOWN and record[name] is not None]
    if content is None and unknown:
        raise Invalid(" ".join(["content: is required.", *map(not_a_field, unknown[:MOST_NAMED])]), field=place)
    for name in unknown:
        warnings.unknown(name)
    for part in _parts(content) if is_foreign and not record.get("messages") else [content]:
        yield Entry(place, fields if part is None else fields | {"content": part}, group)


def _parts(content: Any) -> Iterable[Any]:
    is_long = isinstance(content, str) and len(content) > CONTENT_LENGTH
    return cut(content) if is_long else [content]


def _is_foreign(record: Foreign) -> bool:
    """Return whether the record has names that only other programs use."""
    names = (*_TIMES_OF_PROGRAMS, *_OF_LANGCHAIN)
    return any(name in record for name in names) or record.keys() >= MEM0_FIELDS


def _has_no_text(record: Foreign) -> bool:
    """Return whether the record has a field for the text, but no text."""
    texts = [record[name] or "" for name in TEXT_NAMES if name in record]
    return bool(texts) and is_blank("".join(map(str, texts))) and not record.get("messages")


def is_deleted(record: Foreign) -> bool:
    """Return whether the program that wrote the record had deleted it."""
    return record.get("state") == "deleted" or any(_says_yes(record.get(name)) for name in _DELETED_IF)


def _says_yes(value: Any) -> bool:
    return bool(value) and str(value).strip().casefold() not in _NO


def _with_our_times(record: Foreign) -> Foreign:
    """Return the record with its times under our names. A time that cannot be read, or is not the first one for our
    name, keeps its own name.
    """
    times: Foreign = {}
    others = {name: value for name, value in record.items() if name not in TIMES}
    for name, ours in TIMES.items():
        if (value := record.get(name)) not in (*_LEFT_OUT, record.get(ours)):
            is_first = others.get(ours) in _LEFT_OUT and ours not in times and _is_readable(ours, value)
            (times if is_first else others)[ours if is_first else name] = value
    with contextlib.suppress(KeyError, TypeError, ValueError, OverflowError):  # what is no day is named as unknown
        times.setdefault("expires_at", (date.fromisoformat(record[LAST_DAY]) + timedelta(days=1)).isoformat())
        del others[LAST_DAY]
    return others | {name: value for name, value in times.items() if others.get(name) in _LEFT_OUT}


def _count_unread(record: Foreign, place: str, warnings: Warnings) -> None:
    for name, ours in TIMES.items():
        if name in record and not _is_readable(ours, record[name]):
            warnings.add(UNREAD, f"{name} in {place}")


def _is_readable(name: str, value: Any) -> bool:
    return name == "deleted_at" or (is_moment if name == "expires_at" else is_past)(value)


def _metadata(record: Foreign, given: Foreign) -> Foreign:
    metadata = dict(given)
    for name in (*LABEL_FIELDS, *sorted(KEPT_IN_METADATA), *TIMES):
        if record.get(name) is not None:
            metadata.setdefault(name, record[name])
    if record.get("categories") is not None:
        metadata.setdefault("tags", record["categories"])
    return metadata


def _of_messages(messages: list[Any]) -> Any:
    """Return the text of messages in the form of `NewMemory.text`, or None if they are not messages."""
    if not all(isinstance(message, dict) for message in messages):
        return None
    said = [(message.get("role"), text) for message in messages if (text := _said(message))]
    return said[0][1] if len(said) == 1 else "\n".join(f"{role}: {text}" for role, text in said) or None


def _first_time(messages: list[Any]) -> Any:
    """Return the first time in the messages. Under a name other than ours, one that cannot be read is passed over."""
    for message in objects_in(messages):
        if message.get("created_at"):
            return message["created_at"]
        for name in _TIMES_OF_MESSAGES:
            if is_past(at := message.get(name)):
                return moment(at)
    return None


def _said(message: Foreign) -> Any:
    """Return the content, or the text of its parts. Content that cannot be read is refused later, with its place."""
    with contextlib.suppress(ValueError):
        return join_parts(message.get("content"))
    return message["content"]
