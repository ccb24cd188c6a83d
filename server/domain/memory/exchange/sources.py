"""Recognizes what a file holds by its content, and reads it with the reader of its format."""

import zipfile
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path

from server.domain.memory.exchange import chats, graph, table
from server.domain.memory.exchange.archive import (
    ZIP_MARK,
    Member,
    conversations_among,
    members_of_folder,
    members_of_zip,
)
from server.domain.memory.exchange.entries import Entry, Warnings
from server.domain.memory.exchange.json_values import Placed, read_values
from server.domain.memory.exchange.lines import Line, line_of
from server.domain.memory.exchange.markdown import read_markdown
from server.domain.memory.exchange.records import CONTENT_NAMES, read_record
from server.domain.memory.exchange.texts import HEAD_BYTES, encoding_of, head_of, open_text, undecodable
from server.errors import Invalid

MAX_MARKDOWN_LENGTH = 10_000_000
DOCS = "docs/moving.md"
EXAMPLE = '{"content": "Anna prefers the window seat.", "created_at": "2026-02-22T10:30:00Z"}'
HELP = f"A right line: {EXAMPLE} More: {DOCS}"

_ITEM_FIELDS = frozenset(
    {*CONTENT_NAMES, "messages", "mapping", "chat_messages", "observations", "relationType", "type"}
)


class Format(StrEnum):
    """`AUTO` recognizes. The others are for a file that is not recognized, or as the wrong thing."""

    AUTO = "auto"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"


def read_path(path: Path, warnings: Warnings, wanted: Format = Format.AUTO, name: str = "") -> Iterator[Entry]:
    """Yield what a file, a zip or a folder holds. `name` is what its people call it.

    Raises Invalid, which names the line, item or file that cannot be read and an example.
    """
    name = name or path.name
    try:
        if path.is_dir():
            yield from _read_members(list(members_of_folder(path, warnings)), warnings, wanted)
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield from _read_members(members_of_zip(archive, path.stat().st_size, warnings), warnings, wanted)
        else:
            member = Member(name, lambda: path.open("rb"))
            if head_of(member.opener).startswith(ZIP_MARK):
                raise zipfile.BadZipFile("its end is missing")
            yield from _read_file(member, warnings, wanted)
    except zipfile.BadZipFile as error:
        raise Invalid(f"This zip is damaged: {error}. Download or make it again.") from None


def checked(entries: Iterable[Entry], left_out: frozenset[str] = frozenset()) -> Iterator[Line]:
    """Yield the entries as lines, without the groups that are left out. Raises Invalid with the place of a bad one."""
    for entry in entries:
        if entry.group not in left_out or not entry.group:
            yield _checked(entry)


def _checked(entry: Entry) -> Line:
    try:
        return line_of(entry.fields)
    except Invalid as error:
        raise Invalid(f"{error.detail} {HELP}", field=entry.place) from None


def _read_members(members: list[Member], warnings: Warnings, wanted: Format) -> Iterator[Entry]:
    conversations = conversations_among(members)
    if conversations:
        warnings.add("a file beside the conversations was left out", len(members) - len(conversations))
    for member in conversations or members:
        try:
            yield from _read_file(member, warnings, Format.MARKDOWN if member.is_markdown else wanted)
        except Invalid as error:
            if member.is_markdown and error.field is None:
                raise Invalid(error.detail, field=member.name) from None
            raise
    if not members:
        raise Invalid("There is no Markdown, JSON or CSV file in it.")


def _read_file(member: Member, warnings: Warnings, wanted: Format) -> Iterator[Entry]:
    try:
        kind = _format_of(member) if wanted is Format.AUTO else wanted
        with open_text(member.opener, newline="" if kind is not Format.JSON else None) as file:
            if kind is Format.CSV:
                yield from table.read_table(file, warnings)
            elif kind is Format.MARKDOWN:
                text = file.read(MAX_MARKDOWN_LENGTH + 1)
                if len(text) > MAX_MARKDOWN_LENGTH:
                    reason = f"has more than {MAX_MARKDOWN_LENGTH // 1_000_000} MB: split it into several files."
                    raise Invalid(reason, field=member.name)
                yield from read_markdown(member.name, text, warnings)
            else:
                for placed in read_values(file, _ITEM_FIELDS):
                    yield from _read_item(placed, warnings)
    except UnicodeDecodeError:
        error = undecodable(member.opener)
        raise Invalid(f"{error.reason} {HELP}", field=error.field) from None
    except Invalid as error:
        if HELP in error.detail or error.field is None:
            raise
        raise Invalid(f"{error.reason} {HELP}", field=error.field) from None


def _read_item(placed: Placed, warnings: Warnings) -> Iterator[Entry]:
    place, value = placed
    if isinstance(value, str):
        yield Entry(place, {"content": value})
    elif not isinstance(value, dict):
        raise Invalid("must be a JSON object.", field=place)
    elif chats.is_chatgpt(value):
        yield from chats.read_chatgpt(place.replace("item", "conversation"), value, warnings)
    elif chats.is_claude(value):
        yield from chats.read_claude(place.replace("item", "conversation"), value, warnings)
    elif graph.is_entity(value):
        yield from graph.read_entity(place, value)
    elif graph.is_relation(value):
        yield from graph.read_relation(place, value)
    else:
        yield from read_record(place, value, warnings)


def _format_of(member: Member) -> Format:
    """Return what the file holds. Raises Invalid for a text that is nothing that is known."""
    head = head_of(member.opener)
    encoding = encoding_of(head)
    text = head.decode(encoding, errors="replace").lstrip("\ufeff")
    beginning = text.lstrip()
    lines = beginning.splitlines() or [""]
    if beginning.startswith(("{", "[")) and not _is_link(lines[0]):
        return Format.MARKDOWN if member.is_markdown else Format.JSON
    if table.separator_of(lines[1] if lines[0].casefold().startswith("sep=") and lines[1:] else lines[0]):
        return Format.CSV
    if member.is_markdown or text.startswith("---") or any(_is_heading(line) for line in lines):
        return Format.MARKDOWN
    if not beginning and len(head) < HEAD_BYTES:
        return Format.JSON  # an empty file holds no lines
    raise Invalid(
        "is none of the forms that are known: JSON, CSV with the names of its columns, Markdown.", field="line 1"
    )


def _is_heading(line: str) -> bool:
    return line.startswith("#") and line.lstrip("#").startswith(" ")


def _is_link(line: str) -> bool:
    """Return whether it begins as a link of a note does: `[[Other note]]`."""
    return line.startswith("[[") and "]]" in line
