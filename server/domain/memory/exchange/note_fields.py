"""Turns the front matter of a note into the fields of a memory."""

import json
import re
from collections.abc import Callable

from server.domain.memory.exchange.entries import LABEL_FIELDS, Foreign
from server.domain.memory.exchange.moments import PAST, is_moment, is_past, moment
from server.domain.memory.labels import CATEGORY, COMMAS, PEOPLE, TAGS, like
from server.domain.memory.metadata import is_blank

NAMES = ("title", "aliases")
OTHER_NAMES = {
    **dict.fromkeys(("created", "date", "date created", "created at", "created time", "createdat"), "created_at"),
    "creation date": "created_at", "last updated": "updated_at", "lastupdated": "updated_at",
    **dict.fromkeys(("updated", "modified", "date modified", "updated at", "last edited time"), "updated_at"),
    **dict.fromkeys(("date updated", "last modified", "lastmod", "updatedat"), "updated_at"),
    "people": "people_mentioned", "category": "topic_category", "tag": "tags",
    **{name.replace("_", " "): name for name in (*NAMES, *LABEL_FIELDS)},
}  # fmt: skip
"""Names in front matter that probably mean a field, in lower case and with blanks between words."""

LISTS = (TAGS, PEOPLE)
_FIELDS = (*PAST, "expires_at", "user_id", "pinned")
_TRUTHS = ("true", "false", "yes", "no", "on", "off", "1", "0")
_CHECKED: dict[str, Callable[[object], bool]] = {
    **dict.fromkeys(PAST, is_past), "expires_at": is_moment, "pinned": lambda value: str(value).casefold() in _TRUTHS,
}  # fmt: skip

_LINK = re.compile(r"\[\[(?>[^\[\]|#]*/)?([^\[\]|#/]++)[^\[\]]*+\]\]")
"""A link to a note: [[Anna]], [[People/Anna|her]]. Possessive, because an expression that tries every length of a long
line would hold up all threads for hours.
"""


def fields_of(head: Foreign) -> Foreign:
    """Return the front matter as fields: times and the user, and everything else as metadata.

    Some names only probably mean a field. If the field cannot have such a value, the metadata keeps the value under its
    name.
    """
    fields: Foreign = {}
    metadata: Foreign = {}
    for key, value in sorted(head.items(), key=lambda item: our_name(item[0]) != item[0]):
        name = our_name(key)
        if name != key and (name in fields or name in metadata or not fits(name, value)):
            name = key
        value = _title_of(value) if name == "title" else value
        if value is None or (value == "" and our_name(key) in _FIELDS):
            continue
        if name in _CHECKED and not fits(name, value):
            metadata[name] = value
        elif name in _FIELDS:
            value = moment(value) if name.endswith("_at") else value
            fields[name] = value if isinstance(value, str | bool) else str(value)
        elif name == "metadata" and isinstance(value, dict):
            metadata = value | metadata
        else:
            metadata.setdefault(name, value)
    _without_signs(metadata)
    listed_as_texts(metadata)
    return fields | {"metadata": metadata}


def our_name(key: str) -> str:
    """Return the name of our field that a name in front matter means, or the name itself."""
    return OTHER_NAMES.get(re.sub("[-_ ]+", " ", key.casefold()), key)


def _title_of(value: object) -> str | None:
    """Return a title as text. YAML reads some as something else, such as `1984`, `true` and `[Draft]`."""
    title = ", ".join(_names(value)) if isinstance(value, list) else _as_text(value)
    return None if value is None or is_blank(title) else title


def fits(name: str, value: object) -> bool:
    """Return whether the field can have the value."""
    if name in LISTS:
        return not isinstance(value, dict)
    check = _CHECKED.get(name)
    return check(value) if check else name != CATEGORY or isinstance(value, str)


def listed_as_texts(metadata: Foreign) -> None:
    """Turn tags and people that YAML reads as numbers or booleans back into text."""
    for name in LISTS:
        value = metadata.get(name)
        if isinstance(value, int | float):
            metadata[name] = [_as_text(value)]
        elif isinstance(value, list):
            metadata[name] = [_as_text(item) for item in value if item is not None]


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _without_signs(metadata: Foreign) -> None:
    """Remove the signs of links and tags from labels: `[[Anna]]` is Anna, and `#trip #rome` are two tags."""
    for name in LABEL_FIELDS:
        value = metadata.get(name)
        if isinstance(value, list):
            metadata[name] = _names(value)
        elif isinstance(value, str) and ("[[" in value or "#" in value):
            metadata[name] = like(value, _names(COMMAS.split(value)))


def _names(label: object) -> list[str]:
    if isinstance(label, list):  # YAML reads [[Anna]] without quotes as a list in a list
        return [name for part in label if part is not None for name in _names(part)]
    text = _LINK.sub(r"\1", _as_text(label)).strip()
    words = [word.lstrip("#") for word in text.split()] if text.startswith("#") else [text]
    return [word for word in words if word]
