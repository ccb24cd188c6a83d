"""Reads records: our own lines, those of mem0, and similar ones with other field names."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from server.domain.memory.exchange.entries import FIELDS, LABEL_FIELDS, Entry, Foreign, Warnings

CONTENT_NAMES = ("content", "memory", "text")
"""The names for the text. All mean the same, and the first one with a value is used."""

ABOUT_ANOTHER_SERVER = frozenset({"id", "hash", "score", "project_id", "organization_id", "event"})
"""Fields that mean something only on the server that the record comes from."""

MEM0_FIELDS = frozenset({"memory", "hash"})
"""mem0's export has both, and nothing else is known to."""

KEPT_IN_METADATA = frozenset({"agent_id", "run_id", "app_id", "actor_id"})
_MILLISECONDS = 100_000_000_000


def read_record(place: str, record: Foreign, warnings: Warnings, group: str = "") -> Iterator[Entry]:
    """Yield the record as an entry, unless it was deleted there. Unknown fields are counted in `warnings`."""
    if record.get("state") == "deleted" or record.get("deleted_at"):
        warnings.add("memories that were deleted there were left out", place)
        return
    fields: Foreign = {name: record[name] for name in FIELDS if record.get(name) is not None}
    content = next((record[name] for name in CONTENT_NAMES if record.get(name) is not None), None)
    if content is None and isinstance(record.get("messages"), list):
        content = _of_messages(record["messages"])
    if content is not None:
        fields["content"] = content
    if record.keys() >= MEM0_FIELDS:
        fields.setdefault("source", "mem0")
    if isinstance(record.get("metadata") or {}, dict):
        fields["metadata"] = _metadata(record)
    for name in ("created_at", "updated_at", "expires_at"):
        if name in fields:
            fields[name] = moment(fields[name])
    for name in record:
        if not _is_known(name) and record[name] is not None:
            warnings.unknown(name)
    yield Entry(place, fields, group)


def moment(value: Any) -> Any:
    """Return seconds or milliseconds since 1970 as ISO 8601, and anything else unchanged."""
    if isinstance(value, str) and value.replace(".", "", 1).isdecimal() and len(value) > len("20260101"):
        value = float(value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return value
    seconds = value / 1000 if value > _MILLISECONDS else value
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return str(value)


def _metadata(record: Foreign) -> Foreign:
    metadata: Foreign = dict(record.get("metadata") or {})
    for name in (*LABEL_FIELDS, *sorted(KEPT_IN_METADATA)):
        if record.get(name) is not None:
            metadata.setdefault(name, record[name])
    if record.get("categories") is not None:
        metadata.setdefault("tags", record["categories"])
    return metadata


def _is_known(name: str) -> bool:
    field_names = (*FIELDS, *LABEL_FIELDS, *CONTENT_NAMES, "categories")
    return name in field_names or name in ABOUT_ANOTHER_SERVER or name in KEPT_IN_METADATA


def _of_messages(messages: Any) -> Any:
    """Return the text of messages in the form of `NewMemory.content`, or None if they are not messages."""
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        return None
    if len(messages) == 1:
        return messages[0].get("content")
    return "\n".join(f"{message.get('role')}: {message.get('content')}" for message in messages)
