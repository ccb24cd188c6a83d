"""Recognizes the format of a file by its content, and reads it with that format's reader."""

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import IO

from server.domain.memory.exchange import chats, gemini, graph, letta, notes, other_chats, outlines, table
from server.domain.memory.exchange.archive import (
    LEFT_OUT,
    OTHER_FILES,
    Member,
    conversations_among,
    is_zip,
    members_of_folder,
    members_of_zip,
    open_zip,
)
from server.domain.memory.exchange.bundles import described, with_info
from server.domain.memory.exchange.entries import Entry, Foreign, Warnings
from server.domain.memory.exchange.json_values import Placed, read_values
from server.domain.memory.exchange.lines import Line, line_of
from server.domain.memory.exchange.markdown import read_markdown
from server.domain.memory.exchange.moments import with_readable_times
from server.domain.memory.exchange.records import DELETED, TEXT_NAMES, is_deleted, read_record
from server.domain.memory.exchange.texts import HEAD_BYTES, encoding_of, head_of, open_text, undecodable
from server.errors import Invalid

MAX_MARKDOWN_LENGTH = 10_000_000
EXAMPLE = '{"content": "Anna prefers the window seat.", "created_at": "2026-02-22T10:30:00Z"}'
HELP = f"A valid line looks like this: {EXAMPLE}"

_ITEM_FIELDS = frozenset((*TEXT_NAMES, "messages", "observations", "relationType"))
"""An object with one of these fields is an item itself, as is one that a reader recognizes."""

_READERS = (
    (other_chats.is_deepseek, other_chats.read_deepseek, "conversation"),
    (chats.is_chatgpt, chats.read_chatgpt, "conversation"),
    (chats.is_claude, chats.read_claude, "conversation"),
    (chats.is_claude_memory, chats.read_claude_memory, "item"),
    (other_chats.is_grok, other_chats.read_grok, "conversation"),
    (other_chats.is_librechat, other_chats.read_librechat, "conversation"),
    (other_chats.is_open_webui, other_chats.read_open_webui, "conversation"),
    (letta.is_letta, letta.read_letta, "agent"),
    (gemini.is_activity, gemini.read_activity, "activity"),
    (notes.is_keep, notes.read_keep, "note"),
    (notes.is_day_one, notes.read_day_one, "entry"),
    (notes.is_standard_note, notes.read_standard_note, "item"),
    (outlines.is_page, outlines.read_page, "page"),
    (graph.is_entity, graph.read_entity, "item"),
    (graph.is_relation, graph.read_relation, "item"),
    (graph.is_fact, graph.read_fact, "item"),
)
"""The readers of other programs' items, each with how it recognizes one and what the program calls it."""

_Reader = Callable[[str, Foreign, Warnings], Iterator[Entry]]

_JSON = re.compile(r""""?(?:\{(?!\{)|\[\s*(?:[\[{"'\\]|\]?\s*\Z))""")
"""The beginning of JSON, also of JSON that was written as text, and of nearly JSON, whose error says more. Other text
may begin with a bracket too: `[02.01.24, 10:00] Anna: Hi`, `[ ] Buy milk`, `{{ name }}`.
"""

_UNKNOWN = (
    "is in no known format: JSON, CSV with a column named content, memory or text in its first line, or Markdown."
)
_MARKUP = "Convert HTML or XML to Markdown first."
_CONVERT = "Give files of plain text names that end in .md, and convert others, such as HTML, to Markdown."
_PLAIN_TEXT = (
    "To import plain text as one memory, give the file a name that ends in .md. To import each line as a memory, write "
    "the word content into a first line of its own."
)


class Format(StrEnum):
    """`AUTO` recognizes the format. The others are for a file that is not recognized, or recognized wrongly."""

    AUTO = "auto"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"


def read_path(path: Path, warnings: Warnings, file_format: Format = Format.AUTO, name: str = "") -> Iterator[Entry]:
    """Yield the entries of a file, a zip or a folder. `name` is the user's name for it. Raises Invalid, which names
    the line, item or file that cannot be read, with an example.
    """
    name = name or path.name
    if path.is_dir():
        yield from _read_members(list(members_of_folder(path, warnings)), warnings, file_format)
    elif is_zip(path):
        with open_zip(path) as archive:
            yield from _read_members(members_of_zip(archive, path.stat().st_size, warnings), warnings, file_format)
    else:
        yield from _read_file(Member(name, lambda: path.open("rb")), warnings, file_format)


def checked(entries: Iterable[Entry], left_out: frozenset[str] = frozenset()) -> Iterator[Line]:
    """Yield the entries as lines, without the groups in `left_out`. Raises Invalid with the place of a bad entry."""
    for entry in entries:
        if entry.group not in left_out or not entry.group:
            yield checked_line(entry)


def checked_line(entry: Entry) -> Line:
    """Return the entry as a line. Raises Invalid with its place."""
    try:
        return line_of(entry.fields)
    except Invalid as error:
        raise Invalid(f"{error.detail} {HELP}", field=entry.place) from None


def _read_members(members: list[Member], warnings: Warnings, file_format: Format) -> Iterator[Entry]:
    if not members:
        problems = "; ".join(warnings.sentences())
        advice = f" {_CONVERT}" if OTHER_FILES in problems else ""
        raise Invalid(f"It contains no Markdown, JSON or CSV file{': ' if problems else ''}{problems}.{advice}")
    conversations = conversations_among(members)
    has_notes = any(member.is_markdown for member in members)
    for member, info in described(members):
        if conversations and member not in conversations:
            warnings.add(LEFT_OUT.format("files other than conversations"), member.name)
        elif has_notes and _is_settings(member):
            warnings.add(LEFT_OUT.format("JSON files without memories"), member.name)
        elif is_deleted(info):
            warnings.add(DELETED, member.name)
        else:
            for entry in _read_member(member, warnings, file_format, is_alone=len(members) == 1):
                yield with_info(entry, info, warnings) if info else entry


def _is_settings(member: Member) -> bool:
    """Return whether the file has one JSON object, and no item, as programs write beside notes for themselves."""
    if not member.name.casefold().endswith(".json"):
        return False
    try:
        with open_text(member.opener, newline=None) as file:
            is_object = file.read(HEAD_BYTES).lstrip("\ufeff \t\r\n").startswith("{")
        with open_text(member.opener, newline=None) as file:
            values = [value for _, value in islice(read_values(file, _is_item), 2)] if is_object else []
    except (Invalid, UnicodeDecodeError):
        return False  # it is read later, and the error names the place
    return [isinstance(value, dict) and not _is_item(value) for value in values] == [True]


def _read_member(member: Member, warnings: Warnings, file_format: Format, *, is_alone: bool) -> Iterator[Entry]:
    """Yield the entries of the file. Raises Invalid, which names the file and the place in it."""
    try:
        if member.is_markdown:
            yield from _read_file(member, warnings, Format.MARKDOWN)
        elif (
            member.is_table and file_format is Format.AUTO and not is_alone and not _names_a_text(_beginning_of(member))
        ):
            warnings.add(LEFT_OUT.format("tables without a column named content, memory or text"), member.name)
        else:
            for entry in _read_file(member, warnings, file_format):
                yield entry._replace(place=f"{member.name}: {entry.place}")
    except Invalid as error:
        place = f"{member.name}: {error.field}" if error.field and error.field != member.name else member.name
        raise Invalid(error.reason, field=place) from None


def _read_file(member: Member, warnings: Warnings, file_format: Format) -> Iterator[Entry]:
    try:
        kind = _format_of(member) if file_format is Format.AUTO else file_format
        with open_text(member.opener, newline="" if kind is not Format.JSON else None) as file:
            if kind is Format.CSV:
                yield from table.read_table(file, warnings)
            elif kind is Format.MARKDOWN:
                yield from read_markdown(member.name, _whole_text(file, member.name), warnings)
            else:
                for placed in read_values(file, _is_item):
                    yield from _read_item(placed, warnings)
    except UnicodeDecodeError:
        error = undecodable(member.opener)
        raise Invalid(f"{error.reason} {HELP}", field=error.field) from None
    except Invalid as error:
        if HELP in error.detail or error.field is None:
            raise
        raise Invalid(f"{error.reason} {HELP}", field=error.field) from None


def _is_item(value: Foreign) -> bool:
    """Return whether the object is an item itself, and not something that contains items."""
    return not _ITEM_FIELDS.isdisjoint(value) or _reader_of(value) is not None


def _whole_text(file: IO[str], name: str) -> str:
    text = file.read(MAX_MARKDOWN_LENGTH + 1)
    if len(text) > MAX_MARKDOWN_LENGTH:
        raise Invalid(f"has more than {MAX_MARKDOWN_LENGTH:,} characters: split it into several files.", field=name)
    return text


def _read_item(placed: Placed, warnings: Warnings) -> Iterator[Entry]:
    place, value = placed
    if isinstance(value, str):
        yield Entry(place, {"content": value})
    elif not isinstance(value, dict):
        raise Invalid("must be a JSON object.", field=place)
    else:
        read, noun = _reader_of(value) or (read_record, "item")
        for entry in read(place.replace("item", noun), value, warnings):
            yield entry if read is read_record else with_readable_times(entry, warnings)


def _reader_of(value: Foreign) -> tuple[_Reader, str] | None:
    """Return the reader of the program that wrote the item, and what the program calls it."""
    return next(((read, noun) for is_it, read, noun in _READERS if is_it(value)), None)


def _format_of(member: Member) -> Format:
    """Return the file's format. Raises Invalid for a text in no known format."""
    if member.is_markdown:  # a note may begin with a table, or with a line such as "Text, and more"
        return Format.MARKDOWN
    text = _beginning_of(member)
    beginning = text.lstrip()
    lines = beginning.splitlines() or [""]
    if _JSON.match(beginning) and not _is_link(lines[0]):
        return Format.JSON
    if _names_a_text(text):
        return Format.CSV
    if text.startswith(("---", "+++")) or any(_is_heading(line) for line in lines):
        return Format.MARKDOWN
    if not beginning and len(text) < HEAD_BYTES // 4:
        return Format.JSON  # an empty file has no lines
    raise Invalid(f"{_UNKNOWN} {_MARKUP if beginning.startswith('<') else _PLAIN_TEXT}", field="line 1")


def _beginning_of(member: Member) -> str:
    """Return the first characters of the file. Raises Invalid if it is not text."""
    head = head_of(member.opener)
    try:
        return codecs.getincrementaldecoder(encoding_of(head))().decode(head).lstrip("\ufeff")
    except UnicodeDecodeError:
        raise undecodable(member.opener) from None


def _names_a_text(beginning: str) -> bool:
    """Return whether the text begins as a table with a text column does."""
    lines = beginning.lstrip().splitlines(keepends=True)
    if lines and lines[0].casefold().startswith("sep="):
        lines = lines[1:]
    return table.separator_of(lines) is not None


def _is_heading(line: str) -> bool:
    return line.startswith("#") and line.lstrip("#").startswith(" ")


def _is_link(line: str) -> bool:
    """Return whether the text begins with a link to a note: `[[Other note]]`."""
    return line.startswith("[[") and "]]" in line
