"""Reads text from files: detects the encoding, cuts long texts, and drops what no database can store."""

import io
from collections.abc import Callable, Iterator
from typing import IO

from server.domain.memory.metadata import CONTENT_LENGTH
from server.errors import Invalid
from server.text.characters import HALF_CHARACTERS

Opener = Callable[[], IO[bytes]]
"""Opens the same bytes from their beginning."""

HEAD_BYTES = 65_536
"""How much of a file is read to recognize its format."""

_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"),
)  # fmt: skip
_UTF_16 = {b"\1\0\1\0": "utf-16-le", b"\0\1\0\1": "utf-16-be"}
"""Which of the first four bytes are not zero in UTF-16 without a byte order mark, if it begins with two ASCII
characters, as JSON and tables do. Texts in Chinese have few other zeros.
"""

_UNPACK = "Use a text file, a folder, or a zip."
EXPORT_FROM_JOPLIN = "In Joplin, export MD - Markdown + Front Matter, and import that folder."
SAVE_AS_MARKDOWN = "Save its text as a Markdown file (.md), and import that."
_OTHERS = (
    (b"\x1f\x8b", "a gzip file", _UNPACK), (b"7z\xbc\xaf", "a 7z file", _UNPACK), (b"Rar!", "a RAR file", _UNPACK),
    (b"SQLite format 3", "a SQLite file", _UNPACK), (b"%PDF", "a PDF file", SAVE_AS_MARKDOWN),
    (b"{\\rtf", "an RTF file", SAVE_AS_MARKDOWN),
    (b"\xd0\xcf\x11\xe0", "an old Word, Excel or Outlook file", SAVE_AS_MARKDOWN),
)  # fmt: skip
_BORDERS = ("\n\n", "\n", ". ", "。", " ")


def head_of(opener: Opener) -> bytes:
    with opener() as file:
        return file.read(HEAD_BYTES)


def encoding_of(head: bytes) -> str:
    """Return the encoding of a text with this beginning. Raises Invalid if it is not text."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    for mark, kind, advice in _OTHERS:
        if head.startswith(mark):
            raise Invalid(f"This is {kind}. {advice}")
    if head.startswith(b"ustar", 257):
        raise Invalid(f"This is a tar file, such as Joplin's JEX export. {_UNPACK} {EXPORT_FROM_JOPLIN}")
    if utf_16 := _UTF_16.get(bytes(map(bool, head[:4]))):
        return utf_16
    zeros = (head[0::2].count(0), head[1::2].count(0))
    if not any(zeros):
        return "utf-8"
    if max(zeros) > len(head) // 5 and max(zeros) > 4 * min(zeros):  # UTF-16 text without a byte order mark
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    raise Invalid("This is not a text file. Use a text file in UTF-8 or UTF-16, a folder, or a zip.")


def open_text(opener: Opener, newline: str | None = None) -> IO[str]:
    """Open the bytes as text, without the byte order mark. Raises Invalid if they are not text."""
    encoding = encoding_of(head_of(opener))
    return io.TextIOWrapper(opener(), encoding=encoding, newline=newline)


def undecodable(opener: Opener) -> Invalid:
    """Return the message for a UnicodeDecodeError: the line, and what to do."""
    number = 1
    with opener() as file:
        for number, line in enumerate(iter(lambda: file.readline(HEAD_BYTES), b""), 1):  # noqa: B007 - used below
            if not _is_utf8(line):
                break
    return Invalid(
        "is not UTF-8 or UTF-16 text. Save the file as UTF-8 (in Excel: CSV UTF-8) and try again.",
        field=f"line {number}",
    )


def storable(text: str) -> str:
    """Return the text without NUL and lone surrogates, which chat exports contain and no database can store."""
    return HALF_CHARACTERS.sub("\N{REPLACEMENT CHARACTER}", text.replace("\0", ""))


def cut(text: str) -> Iterator[str]:
    """Yield parts that fit into a memory, cut where a paragraph, a line, a sentence or a word ends."""
    text = text.strip()
    while len(text) > CONTENT_LENGTH:
        ends = ((text.rfind(border, CONTENT_LENGTH // 2, CONTENT_LENGTH), border) for border in _BORDERS)
        end = next((end + len(border.rstrip()) for end, border in ends if end > 0), CONTENT_LENGTH)
        yield text[:end].rstrip()
        text = text[end:].lstrip()
    if text:
        yield text


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data" and len(line) == HEAD_BYTES
    return True
