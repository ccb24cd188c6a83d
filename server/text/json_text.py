"""Parses JSON, and says where a text is not valid JSON."""

import codecs
import json
import re
from itertools import islice

from pydantic_core import from_json

from server.errors import Invalid
from server.text.characters import has_lone_surrogate
from server.text.spelling import field_of

LONE_SURROGATE = "must be text without lone surrogates"

SCANNED_BYTES, SCANNED_TOKENS = 100_000, 10_000
"""An error beyond this point is reported without its path. Scanning this much blocks the event loop for 10 ms."""

MOST_LEVELS = 200
"""The deepest nesting that the parser accepts."""

MOST_DIGITS = 4_300
"""The longest whole number that the parser accepts, in digits."""

LARGE_BYTES = 100_000
"""Only a larger text can hold so many values that parsing them, which no thread interrupts, delays other requests."""

MOST_PARTS = 300_000
"""The most texts, commas and opening brackets of a large text: 300 for each memory of the largest batch."""

PLACE_LENGTH = 4
"""An error about nesting shows this many levels of the path."""

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{},:]|[^\s\[\]{},:"]+|"', re.DOTALL)
_PART = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{,]', re.DOTALL)
"""A string, even one that does not end, a comma, or the beginning of a list or object."""

_NOT_A_NUMBER = re.compile(rb"[+-]?(nan|inf|infinity)", re.IGNORECASE)
_SINGLE_QUOTED = re.compile(rb"\s*[{\[]\s*'")
"""A JSON text as Python and JavaScript print objects."""

_LONG_NUMBER = re.compile(rb"-?[0-9]{%d,}" % (MOST_DIGITS + 1))


def parse_json(body: bytes, *, allow_inf_nan: bool = False, most_parts: int = MOST_PARTS) -> object:
    """Parse JSON text. Skips a byte order mark.

    Raises Invalid, with the path of the field if it has one, for text that is not JSON, lone surrogates, nesting that
    is too deep, numbers that are too long, and a large text with more than `most_parts`.
    """
    text = body.removeprefix(codecs.BOM_UTF8)
    if len(text) > LARGE_BYTES and next(islice(_PART.finditer(text), most_parts, None), None):
        raise Invalid(f"The body has more than {most_parts:,} names, values and commas: send fewer.")
    try:
        return from_json(text, allow_inf_nan=allow_inf_nan)
    except ValueError as error:
        message = str(error).partition(" at line")[0]
    raise _whole_fault(text) or _fault_in(text) or Invalid(f"The body is not valid JSON: {message}.")


def _whole_fault(text: bytes) -> Invalid | None:
    if not text.strip():
        return Invalid("The body is empty.")
    if b"\0" in text[:4] or text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Invalid("The body must be UTF-8 text.")
    if text.lstrip().startswith(b"'"):
        return Invalid("The body begins with a single quote, which a Windows shell passes on: send it from a file.")
    if _SINGLE_QUOTED.match(text):
        return Invalid("The body is not valid JSON: write names and texts in double quotes.")
    return None


def _fault_in(text: bytes) -> Invalid | None:
    """Return the first error with its path, which the parser does not report. Does not recurse."""
    path: list[str | int] = []
    previous = b""
    for match in islice(_TOKEN.finditer(text, 0, SCANNED_BYTES), SCANNED_TOKENS):
        token = match[0]
        if token == b'"':  # the string does not end
            return None
        is_key = bool(path) and isinstance(path[-1], str) and previous in (b"{", b",")
        if token in (b"[", b"{"):
            path.append("" if token == b"{" else 0)
            if len(path) > MOST_LEVELS:
                return _too_deep(path)
        elif token in (b"]", b"}"):
            del path[-1:]
        elif token == b",":
            if path and isinstance(path[-1], int):
                path[-1] += 1
        elif is_key and not token.startswith(b'"'):
            return None
        elif reason := _reason_against(token):
            return _fault(reason, path[:-1] if is_key else path)
        elif is_key:
            path[-1] = token.decode()[1:-1]
        previous = token
    return None


def _too_deep(path: list[str | int]) -> Invalid:
    names = path[:PLACE_LENGTH]
    while names and isinstance(names[-1], int):
        del names[-1]
    return _fault("is nested too deeply", names)


def _fault(reason: str, path: list[str | int]) -> Invalid:
    return Invalid(f"{reason}." if path else f"The body {reason}.", field=field_of(path))


def _reason_against(token: bytes) -> str | None:
    """Return the error in a string, a number or a word."""
    if _NOT_A_NUMBER.fullmatch(token):
        return "contains NaN or Infinity, which JSON does not have"
    if _LONG_NUMBER.match(token):
        return "has too many digits"
    if not token.startswith(b'"'):
        return None
    try:
        return LONE_SURROGATE if has_lone_surrogate(json.loads(token.decode())) else None
    except UnicodeDecodeError:
        return "must be UTF-8 text"
    except json.JSONDecodeError as error:
        if "control character" in error.msg:
            return "has a line break or control character: write it as an escape, such as \\n"
        return "has an escape that JSON does not have: write the backslash twice"
