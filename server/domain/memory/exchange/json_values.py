"""Reads the values of a JSON text one by one, so that a list of any length takes only the memory of one item."""

import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from typing import IO, Any, NamedTuple, NoReturn

from server.domain.memory.exchange.entries import Foreign
from server.errors import Invalid

MAX_VALUE_LENGTH = 32_000_000
"""Maximum length of one value. A long conversation with all the fields of its export fits."""

MAX_RECORD_LENGTH = 1_000_000
"""An object up to this length is read as a whole, to see whether it is an item itself before its lists are read."""

_CHUNK_LENGTH = 65_536
_AT = re.compile("( starting)? at$")
"""Python's messages end in this, before a position that our messages do not give."""

_BLANKS = re.compile("[ \t\r\n\ufeff]+")
_NEAR_THE_END = 16
_NESTED = (dict, list)
_LISTS = frozenset(
    {"memories", "results", "items", "data", "records", "entities", "relations", "conversations", "facts", "entries"}
)


class Placed(NamedTuple):
    """A value and its place in the file, as error messages name it."""

    place: str
    value: Any


def read_values(file: IO[str], is_item: Callable[[Foreign], bool]) -> Iterator[Placed]:
    """Yield the lines of JSON lines, the items of a list, or the items of the lists in an object, unless the object
    `is_item` itself. Raises Invalid, which names the line or item that is not JSON.
    """
    yield from _Reader(file, is_item).items()


class _Reader:
    def __init__(self, file: IO[str], is_item: Callable[[Foreign], bool]) -> None:
        self.file = file
        self.is_item = is_item
        self.text = ""
        self.at = 0
        self.line = 1
        self.count = 0
        self.is_at_end = False
        self.decoder = json.JSONDecoder(parse_constant=_refuse_constant)

    def items(self) -> Iterator[Placed]:
        if self.peek() == "[":
            yield from self.list_items()
            if following := self.peek():
                more = "more than one list: a file may have only one." if following == "[" else "text after the list."
                self.refuse(f"has {more}")
            return
        if self.peek() == '"':
            yield from self.items_in_text()
        while following := self.peek():
            place = f"line {self.line}"
            if following != "{":
                self.refuse("must be a JSON object.")
            yield from self.object_items(place)
            if self.peek() == ",":  # JSON lines that were copied from a list keep the commas of the list
                self.at += 1

    def items_in_text(self) -> Iterator[Placed]:
        """Yield the items of a JSON text that was written as JSON once more, as some programs save an answer."""
        text = self.value(f"line {self.line}")
        if not text.lstrip().startswith(("{", "[")):
            self.refuse("must be a JSON object.")
        yield from read_values(io.StringIO(text), self.is_item)

    def list_items(self) -> Iterator[Placed]:
        self.take("[")
        while self.peek() != "]":
            self.count += 1
            yield Placed(f"item {self.count}", self.value(f"item {self.count}"))
            if self.peek() != ",":
                break
            self.at += 1
        self.take("]")

    def object_items(self, place: str) -> Iterator[Placed]:
        """Yield the items of the lists in an object, or the object itself."""
        whole = self.whole_object()
        if whole is not None:
            yield from self.unfolded(place, whole)
            return
        rest: Foreign = {}
        has_list = False
        self.take("{")
        while self.peek() == '"':
            key = str(self.value(place))
            self.take(":", place)
            if key in _LISTS and self.peek() == "[" and not self.is_item(rest):
                yield from self.list_items()
                has_list = True
            else:
                rest[key] = self.value(place)
            if self.peek() != ",":
                break
            self.at += 1
        self.take("}", place)
        if not has_list:
            yield from self.unfolded(place, rest)

    def whole_object(self) -> Foreign | None:
        """Return the object, or None if it is not valid or too long to be read as a whole."""
        while True:
            try:
                value, end = self.decoder.raw_decode(self.text, self.at)
                break
            except (ValueError, RecursionError):
                length = len(self.text) - self.at
                if self.is_at_end or length > MAX_RECORD_LENGTH:
                    return None
                self.more(max(length, _CHUNK_LENGTH))
        self.advance(end)
        return value if isinstance(value, dict) else None

    def unfolded(self, place: str, value: Any) -> Iterator[Placed]:
        """Yield the items of the lists or objects in an object that is not an item itself.

        If some have the names in `_LISTS`, only those are read, because the rest is about the export.
        """
        if isinstance(value, dict) and not self.is_item(value):
            named = [value[name] or [] for name in value if name in _LISTS and isinstance(value[name] or [], _NESTED)]
            parts = named or [_marked(name, part) for name, part in value.items() if part and isinstance(part, _NESTED)]
            inner = [item for part in parts for item in (part if isinstance(part, list) else [part])]
            if named or ("type" not in value and inner and all(isinstance(item, dict) for item in inner)):
                for item in inner:
                    self.count += 1
                    yield from self.unfolded(f"item {self.count}", item)
                return
        yield Placed(place, value)

    def value(self, place: str) -> Any:
        """Read a value of any kind. Raises Invalid."""
        chunk_length = _CHUNK_LENGTH
        self.peek()
        while True:
            try:
                value: Any
                value, end = self.decoder.raw_decode(self.text, self.at)
                if end < len(self.text) or self.is_at_end:  # a number at the end of the buffer may continue
                    self.advance(end)
                    return value
            except json.JSONDecodeError as error:
                if self.is_at_end or not self._may_go_on(error):
                    self.refuse(f"is not JSON: {_AT.sub('', error.msg).lower()}.", place)
            except RecursionError:
                self.refuse("is nested too deeply.", place)
            except _NotANumber as error:
                self.refuse(f"is not JSON: {error}.", place)
            except ValueError:  # Python refuses longer numbers
                self.refuse(f"has a number with more than {sys.get_int_max_str_digits():,} digits.", place)
            if len(self.text) - self.at > MAX_VALUE_LENGTH:
                self.refuse(f"has more than {MAX_VALUE_LENGTH:,} characters: split it into several.", place)
            self.more(chunk_length)
            chunk_length *= 2

    def _may_go_on(self, error: json.JSONDecodeError) -> bool:
        is_open = error.msg.startswith(("Unterminated string", "Invalid \\u"))
        return is_open or error.pos > len(self.text) - _NEAR_THE_END

    def peek(self) -> str:
        """Return the next character that is not blank, or "" at the end."""
        while True:
            following = self.text[self.at : self.at + 1]
            if blanks := _BLANKS.match(self.text, self.at):
                self.advance(blanks.end())
            elif following or self.is_at_end:
                return following
            else:
                self.more(_CHUNK_LENGTH)

    def take(self, character: str, place: str | None = None) -> None:
        if self.peek() != character:
            self.refuse(f"is not JSON: expecting '{character}'.", place)
        self.at += 1

    def advance(self, end: int) -> None:
        self.line += self.text.count("\n", self.at, end)
        self.at = end

    def more(self, length: int) -> None:
        added = self.file.read(length)
        self.is_at_end = not added
        self.text = self.text[self.at :] + added
        self.at = 0

    def refuse(self, reason: str, place: str | None = None) -> NoReturn:
        raise Invalid(reason, field=place or f"line {self.line}")


def _marked(name: str, part: Any) -> Any:
    """Return the part of an object, with its items marked as deleted if the name says so, such as `trashedNotes`."""
    if isinstance(part, list) and name.casefold().startswith(("trash", "deleted")):
        return [item | {"deleted_at": True} if isinstance(item, dict) else item for item in part]
    return part


class _NotANumber(ValueError):
    """NaN or an infinite number."""


def _refuse_constant(name: str) -> NoReturn:
    raise _NotANumber(f"{name} is not a number")
