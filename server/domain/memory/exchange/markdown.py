"""Reads and writes Markdown files with front matter, as Obsidian does."""

import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import PurePosixPath

import yaml

from server.domain.memory.exchange.entries import FIELDS, LABEL_FIELDS, Entry, Foreign, Warnings
from server.domain.memory.exchange.texts import cut, storable
from server.domain.memory.metadata import CONTENT_LENGTH

FRONT_MATTER_LENGTH = 64_000
_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)(?:^|\n)---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t]*#*[ \t]*$")
_FENCE = re.compile(r"^ {0,3}(```|~~~)")
_OTHER_NAMES = {
    "created": "created_at", "date": "created_at", "updated": "updated_at", "modified": "updated_at",
    "people": "people_mentioned", "category": "topic_category", "tag": "tags",
}  # fmt: skip
_OWN = ("id", *FIELDS, *LABEL_FIELDS, *_OTHER_NAMES)
_HEAD = ("id", "created_at", "updated_at", "user_id", "pinned", "expires_at")
"""The fields of a file that are no metadata."""

_UNSAFE_IN_NAMES = re.compile(r"[^\w .,()-]+")


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """Safe YAML without aliases, a few of which can stand for gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not read")
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


def read_markdown(name: str, text: str, warnings: Warnings) -> Iterator[Entry]:
    """Yield the file as one memory, or as one for each heading if it is longer than a memory may be."""
    head, body = _split(name, text, warnings)
    if str(head.get("id", "")).startswith("mem_"):
        yield Entry(name, _own_fields(head, body), name)
        return
    fields = _fields(head)
    title = head.get("title") or PurePosixPath(name).stem
    metadata: Foreign = {"title": str(title), "file": name} | fields["metadata"]
    body = storable(body.replace("\r\n", "\n")).strip()
    if not body:
        warnings.add("a file without text was left out")
    for heading, part in _parts(body):
        about = metadata | ({"heading": heading} if heading else {})
        yield Entry(name, fields | {"content": part, "metadata": about}, name)


def write_markdown(record: Foreign) -> tuple[str, str]:
    """Return the name and the text of a file for an exported line."""
    head: Foreign = {name: record[name] for name in _HEAD if record.get(name)}
    metadata = dict(record.get("metadata") or {})
    for name in LABEL_FIELDS:
        if name in metadata:
            head[name] = metadata.pop(name)
    hidden = {key: metadata.pop(key) for key in list(metadata) if key in _OWN}
    head |= metadata
    if hidden:
        head["metadata"] = hidden
    if record.get("messages"):
        head["messages"] = record["messages"]
    for name in ("tags", "people_mentioned"):
        if isinstance(head.get(name), str):
            head[name] = [part.strip() for part in head[name].split(",") if part.strip()]
    front = yaml.safe_dump(json.loads(json.dumps(head)), allow_unicode=True, sort_keys=False, width=10_000)
    return _file_name(record), f"---\n{front}---\n{record['content']}\n"


def _split(name: str, text: str, warnings: Warnings) -> tuple[Foreign, str]:
    """Return the front matter and the text behind it. What is not YAML stays in the text."""
    text = text.removeprefix("\ufeff")
    match = _FRONT_MATTER.match(text)
    if match is None:
        return {}, text
    try:
        if len(match[1]) > FRONT_MATTER_LENGTH:
            raise yaml.YAMLError("too long")
        head = yaml.load(match[1], _Loader)  # noqa: S506 - a subclass of SafeLoader
        head = json.loads(json.dumps(head, default=_as_text, allow_nan=False))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        warnings.add(f"{name}: the front matter is not YAML and stays in the text")
        return {}, text
    return (head, text[match.end() :]) if isinstance(head, dict) else ({}, text[match.end() :] if not head else text)


def _fields(head: Foreign) -> Foreign:
    """Return the front matter as fields: times and the user, and everything else as metadata."""
    fields: Foreign = {}
    metadata: Foreign = {}
    for key, value in head.items():
        name = _OTHER_NAMES.get(key.casefold(), key)
        if value is None:
            continue
        if name in _HEAD[1:]:
            fields.setdefault(name, value if isinstance(value, str | bool) else str(value))
        elif name == "metadata" and isinstance(value, dict):
            metadata = value | metadata
        else:
            metadata.setdefault(name, value)
    for name in ("tags", "people_mentioned"):
        if isinstance(metadata.get(name), list):
            metadata[name] = [str(item) for item in metadata[name] if item is not None]
    return fields | {"metadata": metadata}


def _own_fields(head: Foreign, body: str) -> Foreign:
    """Return the fields of a file that an export of ours wrote, with exactly its text."""
    messages = head.pop("messages", None)
    head.pop("id")
    return _fields(head) | {"content": body.removesuffix("\n")} | ({"messages": messages} if messages else {})


def _parts(body: str) -> Iterator[tuple[str, str]]:
    """Yield the parts with the heading that each stands under, or the whole text if it fits."""
    if len(body) <= CONTENT_LENGTH:
        if body:
            yield "", body
        return
    for heading, section in _sections(body):
        for part in cut(section):
            yield heading, part


def _sections(body: str) -> Iterator[tuple[str, str]]:
    heading, is_code = "", False
    lines: list[str] = []
    for line in body.split("\n"):
        if _FENCE.match(line):
            is_code = not is_code
        match = None if is_code else _HEADING.match(line)
        if match:
            yield heading, "\n".join(lines)
            heading, lines = match[2], []
        lines.append(line)
    yield heading, "\n".join(lines)


def _file_name(record: Foreign) -> str:
    words = " ".join(_UNSAFE_IN_NAMES.sub(" ", str(record["content"])[:60]).split()).strip(" .")
    return f"{str(record['created_at'])[:10]} {words} {str(record['id'])[-8:]}.md"


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)
