"""Reads and writes Markdown files with front matter, as Obsidian does."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from server.domain.memory.exchange import front_matter
from server.domain.memory.exchange.entries import FIELDS, LABEL_FIELDS, STANDARD_INPUT, Entry, Foreign, Warnings
from server.domain.memory.exchange.inline_tags import add_tags, lines_of
from server.domain.memory.exchange.lines import MEMORY_ATTRIBUTES
from server.domain.memory.exchange.moments import PAST, UNREAD, is_past, moment
from server.domain.memory.exchange.note_fields import (
    LISTS,
    NAMES,
    OTHER_NAMES,
    fields_of,
    fits,
    listed_as_texts,
    our_name,
)
from server.domain.memory.exchange.texts import EXPORT_FROM_JOPLIN, cut, storable
from server.domain.memory.labels import parse_list
from server.domain.memory.metadata import CONTENT_LENGTH, is_blank, parse_metadata
from server.errors import Invalid
from server.index.words.titles import names_in, title_in
from server.index.words.tokenizer import MARKS
from server.text import characters

_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)(?<=\n)(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_TOML = re.compile(r"\A\+\+\+[ \t]*\r?\n(.*?)(?<=\n)\+\+\+[ \t]*(?:\r?\n|\Z)", re.DOTALL)
"""The front matter of Hugo and Zola."""

_PROPERTIES = re.compile(r"\A(?:[\w-]+::(?: [^\n]*)?(?:\n|\Z))+")
"""What Logseq writes as front matter."""

OF_LOGSEQ = re.compile(r"^[ \t]*(?:id:: [0-9a-f-]{36}|collapsed:: (?:true|false))[ \t]*(?:\n|\Z)", re.MULTILINE)
_OF_JOPLIN = re.compile(r"(?:\A|\n)id: [0-9a-f]{32}\r?\n(?:[a-z_]+:[^\n]*\n)+type_: \d+\s*\Z")
"""The end of each file of Joplin's RAW export, which may be a note, a tag, a folder, or which note has which tag."""

_OF_JOPLIN_LENGTH = 5_000
_ESCAPED = re.compile("%([2-7][0-9A-F])")
_NOTION_ID = re.compile(r" [0-9a-f]{32}$")
_NOTION_PROPERTIES = re.compile(r"\A# [^\n]*\n\n((?:[^\n:]+: [^\n]*(?:\n|\Z))+)")
"""The lines below the title of a page that was in a database of Notion."""

_DAY = re.compile(r"((?:19|20)\d\d)([-_.]?)(\d\d)\2(\d\d)(?:\d{4}(?:\d\d)?)?(?![0-9])", re.ASCII)
"""The beginning of the name of a daily note, or of one that is named by the minute."""

_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")

_HEADING = re.compile(r"#{1,6}[ \t]++(.+)")
_EXACT = (*(name for name in MEMORY_ATTRIBUTES if name not in ("content", "metadata", "messages")), "source")
_OWN = frozenset(("id", *FIELDS, *LABEL_FIELDS, *OTHER_NAMES)).difference(NAMES)
_ROOM: Foreign = {f"room {number}": " " * 300 for number in range(4)}
"""What an import may add to front matter: the title, the name of the file, an alias and a heading."""

_UNSAFE_IN_NAMES = re.compile(rf"[^\w{MARKS} .,()-]+")
NAME_BYTES = 200
"""No file system takes more than 255 bytes, some of which the date, the id and the ending need."""


def read_markdown(name: str, text: str, warnings: Warnings) -> Iterator[Entry]:
    """Yield the file as one memory, or as one per heading if it is too long for a single memory."""
    if _OF_JOPLIN.search(text[-_OF_JOPLIN_LENGTH:]):
        raise Invalid(f"This is a file of Joplin's RAW export. {EXPORT_FROM_JOPLIN}")
    head, fields, body = _split(name, text, warnings)
    if _is_own(head):
        yield Entry(name, _own_fields(head, body), name)
        return
    name = characters.normalize("NFC", storable(name))  # macOS writes ü as u and a mark
    whole = PurePosixPath(name).stem
    stem = _NOTION_ID.sub("", whole)
    body = OF_LOGSEQ.sub("", storable(body.replace("\r\n", "\n"))).strip()
    if stem != whole:
        fields = fields_of(_properties_of_notion(body))
    for key, value in fields["metadata"].items():
        if our_name(key) in (*PAST, "expires_at") and not fits(our_name(key), value):
            warnings.add(UNREAD, name)
    if day := day_of(stem):
        fields.setdefault("created_at", day)
    metadata: Foreign = fields["metadata"] if name == STANDARD_INPUT else _named(_shown(stem), name, fields["metadata"])
    if is_blank(body):
        warnings.add("files without text were left out", name)
        return
    for heading, part in _parts(body):
        about = metadata | ({"heading": heading} if heading else {})
        yield Entry(name, fields | {"content": part, "metadata": add_tags(about, part)}, name)


def write_markdown(record: Foreign) -> tuple[str, str]:
    """Return the name and the text of a file for an exported line.

    Labels are lists, as Obsidian expects. Their original form, and metadata with the name of a field, is under
    `metadata`.
    """
    metadata = dict(record.get("metadata") or {})
    labels = {name: metadata.pop(name) for name in LABEL_FIELDS if name in metadata}
    hidden = {key: metadata.pop(key) for key in list(metadata) if key.casefold() in _OWN}
    for name in LISTS:
        if isinstance(labels.get(name), str):
            hidden[name] = labels[name]
            labels[name] = parse_list(labels[name])
    head: Foreign = {name: record[name] for name in ("id", *_EXACT) if record.get(name)} | labels | metadata
    if hidden:
        head["metadata"] = hidden
    front = front_matter.write(head)
    if record.get("messages"):
        front += f"messages: {front_matter.flow(record['messages'])}\n"
    return _file_name(record), f"---\n{front}---\n{record['content']}\n"


def _is_own(head: Foreign) -> bool:
    return str(head.get("id", "")).startswith("mem_")


def _split(name: str, text: str, warnings: Warnings) -> tuple[Foreign, Foreign, str]:
    """Return the front matter, its fields unless we wrote it, and the text after it. Front matter that cannot be read,
    or that no metadata can hold, stays in the text.
    """
    text = text.removeprefix("\ufeff")
    match = _FRONT_MATTER.match(text) or _TOML.match(text)
    if match is None:
        properties = _PROPERTIES.match(text)
        head = _properties(properties[0]) if properties else {}
        return head, fields_of(head), text[properties.end() if properties else 0 :]
    fields = fields_of({})
    try:
        head = front_matter.read_toml(match[1]) if match.re is _TOML else front_matter.read(match[1])
        if isinstance(head, dict) and not _is_own(head):
            fields = fields_of(head)
            parse_metadata(_ROOM | fields["metadata"])
    except ValueError:
        kind = "TOML" if match.re is _TOML else "YAML"
        warnings.add(f"front matter that is not {kind}, or is too large for metadata, stays in the text", name)
        return {}, fields_of({}), text
    if isinstance(head, dict):
        return head, fields, text[match.end() :]
    return {}, fields, text if head else text[match.end() :]


def _shown(stem: str) -> str:
    """Return the name as Logseq shows it. In names of files, it writes a slash as `___`, and other signs as in URLs."""
    return _ESCAPED.sub(lambda sign: chr(int(sign[1], 16)), stem.replace("___", "/"))


def _named(stem: str, name: str, metadata: Foreign) -> Foreign:
    """Return the metadata of a file with its name as the title, or as an alias if the title is another one."""
    metadata = {"title": stem, "file": name} | metadata
    aliases = metadata.get("aliases")
    if stem.casefold() in names_in(metadata).casefold().split("\n"):
        return metadata
    return metadata | {"aliases": [*(aliases if isinstance(aliases, list) else filter(None, [aliases])), stem]}


def _properties(lines: str) -> Foreign:
    pairs = (line.split("::", 1) for line in lines.splitlines())
    return {name: value.strip() for name, value in pairs if value.strip()}


def _properties_of_notion(body: str) -> Foreign:
    """Return the properties of a page that mean our fields. They stay in the text too: any line may look like one."""
    match = _NOTION_PROPERTIES.match(body)
    pairs = (line.split(": ", 1) for line in match[1].splitlines()) if match else ()
    return {name.casefold(): value for name, value in pairs if name.casefold() in OTHER_NAMES}


def day_of(stem: str) -> str | None:
    """Return the day that begins the name of a note, or is the name in words, unless it is in the future."""
    match = _DAY.match(stem)
    day = "-".join(match.group(1, 3, 4)) if match else moment(stem) if _YEAR.search(stem) else None
    return day if is_past(day) else None


def _own_fields(head: Foreign, body: str) -> Foreign:
    """Return the fields of a file that our own export wrote, with exactly its text and its metadata."""
    fields = {name: head.pop(name) for name in (*_EXACT, "messages") if name in head}
    hidden = head.pop("metadata", {})
    hidden = dict(hidden) if isinstance(hidden, dict) else {"metadata": hidden}
    listed_as_texts(head)
    for name in LISTS:
        if name in hidden and not _are_same(hidden[name], head.get(name)):  # somebody edited the labels
            del hidden[name]
    del head["id"]
    return fields | {"content": body.removesuffix("\n"), "metadata": head | hidden}


def _are_same(first: object, second: object) -> bool:
    try:
        return parse_list(first) == parse_list(second)
    except ValueError:
        return False


def _parts(body: str) -> Iterator[tuple[str, str]]:
    """Yield the parts, each with its heading, or the whole text if it fits."""
    if len(body) <= CONTENT_LENGTH:
        yield "", body
        return
    for heading, section in _sections(body):
        for part in cut(section):
            if not is_blank(part):
                yield heading, part


def _sections(body: str) -> Iterator[tuple[str, str]]:
    heading = ""
    lines: list[str] = []
    for line, is_code in lines_of(body):
        match = None if is_code else _HEADING.match(line)
        if match:
            yield heading, "\n".join(lines)
            heading, lines = _without_closing(match[1]), []
        lines.append(line)
    yield heading, "\n".join(lines)


def _without_closing(heading: str) -> str:
    """Return the heading without blanks and closing number signs at its end, unless it consists of them."""
    return heading.rstrip(" \t").rstrip("#").rstrip(" \t") or heading.rstrip(" \t")


def _file_name(record: Foreign) -> str:
    name = title_in(record.get("metadata") or {}) or str(record["content"])
    words = " ".join(_UNSAFE_IN_NAMES.sub(" ", name[:60]).split()).strip(" .")
    words = words.encode()[:NAME_BYTES].decode(errors="ignore")
    day = str(record["created_at"])[:10]
    return f"{words if words.startswith(day) else f'{day} {words}'} {str(record['id'])[-8:]}.md"
