"""The files of a folder or a zip, within bounds that no small file can exceed by unpacking."""

import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from server.domain.memory.exchange.entries import Warnings
from server.domain.memory.exchange.texts import Opener
from server.errors import Invalid

MAX_FILES = 200_000
MAX_UNPACKED_BYTES = 4_000_000_000
MAX_RATIO = 200
"""How many times larger than the zip its files may be. Texts shrink to a tenth or so."""

FREE_BYTES = 100_000_000
"""Up to this size the ratio does not matter."""

ZIP_MARK = b"PK\x03\x04"
CONVERSATIONS = "conversations"
TEXT_ENDINGS = (".md", ".markdown", ".jsonl", ".ndjson", ".json", ".csv", ".tsv")
MARKDOWN_ENDINGS = (".md", ".markdown")


class Member(NamedTuple):
    """A file in a folder or a zip, with its path there."""

    name: str
    opener: Opener

    @property
    def is_markdown(self) -> bool:
        return self.name.casefold().endswith(MARKDOWN_ENDINGS)


def members_of_folder(folder: Path, warnings: Warnings) -> Iterator[Member]:
    """Yield the files by name. Links are not followed. What is left out is counted."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            warnings.add("a link was not followed")
        elif path.is_file() and _is_wanted(name, warnings):
            yield Member(name, lambda path=path: path.open("rb"))  # type: ignore[misc]  # binds the path of this round


def members_of_zip(archive: zipfile.ZipFile, size: int, warnings: Warnings) -> list[Member]:
    """Return the files of the zip of this size. What is left out is counted.

    Raises Invalid for too many, for encrypted ones, and when one is read beyond the bounds.
    """
    infos = archive.infolist()
    if len(infos) > MAX_FILES:
        raise Invalid(f"This zip has more than {MAX_FILES:,} files.")
    budget = _Budget(min(MAX_UNPACKED_BYTES, max(FREE_BYTES, size * MAX_RATIO)))
    wanted = {info.filename: info for info in infos if not info.is_dir() and _is_wanted(info.filename, warnings)}
    names = sorted(wanted.items())
    if any(info.flag_bits & 1 for _, info in names):
        raise Invalid("This zip is encrypted. Unpack it and give the folder.")
    return [Member(name, lambda info=info: budget.open(archive, info)) for name, info in names]  # type: ignore[misc]


def conversations_among(members: list[Member]) -> list[Member]:
    """Return the files with the conversations of a chat's export: one, or several numbered ones."""
    stems = [(Path(member.name).name.casefold(), member) for member in members]
    return [member for name, member in stems if name.startswith(CONVERSATIONS) and name.endswith(".json")]


def _is_wanted(name: str, warnings: Warnings) -> bool:
    """Return whether it is a text. Count what is left out, but not what is a program's own, as in `.obsidian`."""
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or name.startswith("/"):
        warnings.add("a file whose name leads out of the zip was left out")
        return False
    if any(part.startswith((".", "__MACOSX")) for part in parts):
        return False
    is_text = name.casefold().endswith(TEXT_ENDINGS)
    if not is_text:
        warnings.add("a file that is no Markdown, JSON or CSV was left out")
    return is_text


class _Budget:
    """How many bytes may still be unpacked."""

    def __init__(self, left: int) -> None:
        self.left = left

    def open(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
        return io.BufferedReader(_Counted(archive.open(info), self))


class _Counted(io.RawIOBase):
    """A file of a zip. What it really unpacks counts, not what the zip says about it."""

    def __init__(self, file: IO[bytes], budget: _Budget) -> None:
        self.file = file
        self.budget = budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]  # what BufferedReader gives
        try:
            chunk = self.file.read(len(buffer))
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise Invalid(f"This zip is damaged: {error}. Download or make it again.") from None
        self.budget.left -= len(chunk)
        if self.budget.left < 0:
            raise Invalid("This zip unpacks to far more than it should. Unpack it and give the folder.")
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        self.file.close()
        super().close()
