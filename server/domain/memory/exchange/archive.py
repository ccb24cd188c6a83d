"""Reads the files in a folder or a zip, within limits that stop a small zip from unpacking to a huge size."""

import contextlib
import io
import lzma
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

from server.domain.memory.exchange.entries import Warnings, printable
from server.domain.memory.exchange.texts import SAVE_AS_MARKDOWN, Opener, head_of, storable
from server.errors import Invalid

MAX_FILES = 200_000
MAX_UNPACKED_BYTES = 4_000_000_000
MAX_RATIO = 200
"""How many times larger than the zip its files may be. Texts usually shrink to about a tenth."""

FREE_BYTES = 100_000_000
"""Up to this many unpacked bytes, the ratio is not checked."""

_DAMAGES = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, struct.error)
LEFT_OUT = "{} were left out"
OTHER_FILES = "files that are not Markdown, JSON or CSV"
_DRIVE = re.compile("[A-Za-z]:")
_OF_A_DOCUMENT = ("[Content_Types].xml", "mimetype")
"""Every .docx, .xlsx and .pptx has the first of these at its top, and every .odt and .epub the second."""

_ACTIVITIES = ("MyActivity.html", "My Activity.html")
_ZIP = b"PK\x03\x04"
_LISTED_FILE = b"PK\x01\x02"
_CHUNK_BYTES = 1_000_000
_SAYS_UTF_8 = 0x800
CONVERSATIONS = ("conversations", "prod-grok-backend.")
BUNDLE = ".textbundle"
MARKDOWN_ENDINGS = (".md", ".markdown", BUNDLE, f"{BUNDLE}/text.txt")
TABLE_ENDINGS = (".csv", ".tsv")
OF_STANDARD_NOTES = "standard notes backup and import file.txt"
TEXT_ENDINGS = (*MARKDOWN_ENDINGS, *TABLE_ENDINGS, ".jsonl", ".ndjson", ".json", ".af", OF_STANDARD_NOTES)


class Member(NamedTuple):
    """A file in a folder or a zip, with its path there."""

    name: str
    opener: Opener

    @property
    def is_markdown(self) -> bool:
        return self.name.casefold().endswith(MARKDOWN_ENDINGS)

    @property
    def is_table(self) -> bool:
        return self.name.casefold().endswith(TABLE_ENDINGS)


def members_of_folder(folder: Path, warnings: Warnings) -> Iterator[Member]:
    """Yield the files by name. Links are not followed. Files that are left out are counted in `warnings`."""
    for path in sorted(folder.rglob("*")):
        is_link = path.is_symlink()
        name = path.relative_to(folder).as_posix()
        if (is_link or path.is_file()) and _is_to_be_read(name, is_link, warnings):
            yield Member(_printable(name), lambda path=path: path.open("rb"))  # type: ignore[misc]  # binds the path of this round


def members_of_zip(archive: zipfile.ZipFile, size: int, warnings: Warnings) -> list[Member]:
    """Return the files of a zip of this size, by name. Files that are left out are counted in `warnings`. Raises
    Invalid for a document or an encrypted file, and when reading a file exceeds the limits.
    """
    infos = [info for info in archive.infolist() if not info.filename.endswith("/")]
    if any(info.filename in _OF_A_DOCUMENT for info in infos):
        raise Invalid(f"This is an office document or an e-book. {SAVE_AS_MARKDOWN}")
    budget = _Budget(min(MAX_UNPACKED_BYTES, max(FREE_BYTES, size * MAX_RATIO)))
    taken: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        path, is_known = _path_of(info)
        name = _printable(path)
        if _is_to_be_read(name, stat.S_ISLNK(info.external_attr >> 16), warnings):
            if name in taken:
                warnings.add(LEFT_OUT.format("files with the same name as another"), name)
            if info.flag_bits & 1:
                raise Invalid("is encrypted. Unpack the zip with its password, and import its files.", field=name)
            if not is_known:
                warnings.add("names of files that are not in UTF-8 may be wrong", name)
            taken[name] = info
    return [Member(name, partial(budget.open, archive, info)) for name, info in sorted(taken.items())]


def is_zip(path: Path) -> bool:
    """Return whether the file is a zip, possibly a damaged one."""
    with path.open("rb") as file:
        return file.read(len(_ZIP)) == _ZIP or zipfile.is_zipfile(path)


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open the zip. Raises Invalid if it is damaged or lists too many files."""
    with naming_damage():
        if not zipfile.is_zipfile(path):
            raise zipfile.BadZipFile("its end is missing")
        _require_few_files(path)
        return zipfile.ZipFile(path)


def _require_few_files(path: Path) -> None:
    """Count before Python's reader makes an object for each file that the zip lists. Raises Invalid."""
    count, tail = 0, b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            count += (tail + chunk).count(_LISTED_FILE)
            tail = chunk[1 - len(_LISTED_FILE) :]
    if count > MAX_FILES:
        raise Invalid(f"This zip has more than {MAX_FILES:,} files. Unpack it, and import it in parts.")


@contextlib.contextmanager
def naming_damage() -> Iterator[None]:
    """Turn the errors of Python's zip readers into Invalid."""
    try:
        yield
    except NotImplementedError as error:
        raise Invalid(f"This zip cannot be read: {error}. Unpack it, and import its files.") from None
    except _DAMAGES as error:
        raise Invalid(f"This zip is damaged: {error or 'it ends too early'}. Download or create it again.") from None


def conversations_among(members: list[Member]) -> list[Member]:
    """Return the files of a chat export that contain conversations, one or several numbered ones, and those with what
    Claude remembers of them.
    """
    files = [(Path(member.name).name.casefold(), member) for member in members]
    files = [(name, member) for name, member in files if name.endswith(".json")]
    if not any(name.startswith(CONVERSATIONS) for name, _ in files):
        return []
    return [
        member
        for name, member in files
        if name.startswith(CONVERSATIONS) or b'"conversations_memory"' in head_of(member.opener)
    ]


def _path_of(info: zipfile.ZipInfo) -> tuple[str, bool]:
    """Return the path with slashes, and whether its encoding is known. Some programs write backslashes, and bsdtar
    begins each path with `./`.
    """
    name, is_known = _name_of(info)
    # In an encoding of Chinese, Japanese or Korean, a backslash may be the second byte of a character.
    parts = re.split(r"[/\\]" if is_known else r"/|(?<![^\x00-\x7f])\\", name)
    return "/".join(part for part in parts if part != "."), is_known


def _name_of(info: zipfile.ZipInfo) -> tuple[str, bool]:
    """Return the file's name, and whether its encoding is known. macOS writes names in UTF-8 without the flag that says
    so. Windows writes some in the encoding of its language, which nothing names.
    """
    if info.flag_bits & _SAYS_UTF_8:
        return info.filename, True
    try:
        return info.filename.encode("cp437").decode(), True
    except UnicodeError:
        return info.filename, False


def _printable(name: str) -> str:
    """Return the name in a form that can be stored and used in a sentence."""
    return printable(storable(name))


def _is_to_be_read(name: str, is_link: bool, warnings: Warnings) -> bool:
    """Return whether to read the file. Internal files of programs, and files that are not text, are left out and
    counted.
    """
    kind = _kind_left_out(name, is_link)
    if kind:
        warnings.add(LEFT_OUT.format(kind), name)
    return not kind


def _kind_left_out(name: str, is_link: bool) -> str:
    parts = name.split("/")
    if ".." in parts or name.startswith("/") or _DRIVE.fullmatch(parts[0]):
        return "files whose path leads outside the folder"
    if is_link:
        return "links"
    if any(part.startswith((".", "__MACOSX")) for part in parts):
        return "files that belong to programs, as in .obsidian or __MACOSX,"
    if name.casefold().endswith(".zip"):
        return "nested zips, which have to be unpacked and imported one by one,"
    if parts[-1] in _ACTIVITIES:
        return "activities as HTML, for which Google Takeout has JSON,"
    return "" if name.casefold().endswith(TEXT_ENDINGS) else OTHER_FILES


class _Budget:
    """How many bytes may still be unpacked."""

    def __init__(self, left: int) -> None:
        self.left = left

    def open(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
        with naming_damage():
            return io.BufferedReader(_Counted(archive.open(info), self))


class _Counted(io.RawIOBase):
    """A file in a zip. Counts the bytes that it really unpacks to, not those that the zip declares."""

    def __init__(self, file: IO[bytes], budget: _Budget) -> None:
        self.file = file
        self.budget = budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]  # what BufferedReader gives
        with naming_damage():
            chunk = self.file.read(len(buffer))
        self.budget.left -= len(chunk)
        if self.budget.left < 0:
            raise Invalid("This zip unpacks to far more than it should. Unpack it, and import its files.")
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        self.file.close()
        super().close()
