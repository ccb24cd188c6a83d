"""Reads and writes front matter: YAML, as people and note programs write it. Reads TOML too."""

import contextlib
import json
import re
import tomllib
from datetime import date
from typing import Any

import yaml

MOST_EVENTS = 20_000
"""Maximum number of keys, values and brackets in front matter. 16 KB of metadata and 100 messages have fewer."""

MOST_NESTED = 64
MOST_REPAIRED = 100_000
"""Longer front matter, in characters, is not repaired, and not read if it is TOML."""

MOST_POINTS = 1000
"""TOML with more is not read: a key with 50,000 points in it takes half a minute."""

_VALUE = re.compile(r"([\w][\w .-]*:[ \t]+|[ \t]*-[ \t]+)(\S.*)")
"""A line with a key and a value, or with an item of a list."""

_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Characters that may appear in JSON strings but not in YAML."""

_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)")


class Unsafe(ValueError):
    """Front matter that could take much memory or time."""


_ENDS_IN_ZERO = re.compile(r"-?[0-9]+\.[0-9]+0")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # some builds have no libyaml
    """Safe YAML with decimal numbers, `true` and `false` only. `1:30`, `012`, `yes`, and `3.10`, which is another
    version than 3.1, stay text, as people mean them.
    """

    def construct_truth(self, node: yaml.ScalarNode) -> bool | str:
        word = str(node.value)
        return word.casefold() == "true" if word.casefold() in ("true", "false") else word

    def construct_integer(self, node: yaml.ScalarNode) -> int | str:
        return int(node.value) if _DECIMAL.fullmatch(node.value) else str(node.value)

    def construct_decimal(self, node: yaml.ScalarNode) -> float | str:
        try:
            number = float(node.value)
        except ValueError:
            return str(node.value)
        return str(node.value) if _ENDS_IN_ZERO.fullmatch(node.value) else number


_Loader.add_constructor("tag:yaml.org,2002:bool", _Loader.construct_truth)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_integer)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_decimal)


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # PyYAML has no types
    """Safe YAML that escapes line breaks and invisible characters, since some would not survive otherwise."""

    def represent_text(self, text: str) -> yaml.Node:
        return self.represent_scalar("tag:yaml.org,2002:str", text, None if text.isprintable() else '"')


_Dumper.add_representer(str, _Dumper.represent_text)


def read(text: str) -> Any:
    """Return the front matter as JSON values. A line that is not YAML by itself has a value that should have had
    quotation marks, such as `title: Dune: Part Two`, and is read as if it had them. Raises ValueError if that does not
    help.
    """
    try:
        return _read(text)
    except ValueError as error:
        if isinstance(error, Unsafe) or len(text) > MOST_REPAIRED:
            raise
        return _read("\n".join(map(_repaired, text.split("\n"))))


def read_toml(text: str) -> Any:
    """Like `read`, for TOML."""
    try:
        if text.count(".") > MOST_POINTS or len(text) > MOST_REPAIRED:
            raise Unsafe
        return json.loads(json.dumps(tomllib.loads(text), default=_as_text, allow_nan=False))
    except (ValueError, RecursionError) as error:
        raise ValueError("is not TOML") from error


def write(head: dict[str, Any]) -> str:
    plain = json.loads(json.dumps(head))  # a value that appears twice would become an alias
    front: str = yaml.dump(plain, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=10_000)
    return front


def flow(value: object) -> str:
    """Return the value as JSON, which is valid YAML too, and is written fast even for a million characters."""
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value, ensure_ascii=False))


def _read(text: str) -> Any:
    try:
        _require_small(text)
        value = yaml.load(text, _Loader)  # noqa: S506 - a subclass of SafeLoader
        return json.loads(json.dumps(value, default=_as_text, allow_nan=False))
    except (yaml.YAMLError, TypeError, RecursionError) as error:
        raise ValueError("is not YAML") from error


def _repaired(line: str) -> str:
    """Return the line, with its value in quotation marks if it cannot be read by itself."""
    match = _VALUE.fullmatch(line.rstrip())
    with contextlib.suppress(ValueError):
        if match is None or _read(match[0].strip()):
            return line
    return f"{match[1]}{json.dumps(match[2])}" if match else line


def _require_small(front_matter: str) -> None:
    """Raises Unsafe for aliases, a few of which can expand to gigabytes, and for huge front matter."""
    depth, anchors = 0, set[str]()
    for number, event in enumerate(yaml.parse(front_matter, _Loader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        is_alias = isinstance(event, yaml.AliasEvent) and event.anchor in anchors
        if is_alias or number > MOST_EVENTS or depth > MOST_NESTED:
            raise Unsafe("has aliases, or is too large")
        anchors.add(getattr(event, "anchor", None) or "")


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)
