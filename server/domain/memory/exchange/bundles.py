"""Finds the TextBundles in a folder or a zip. Each is a folder with the text of a note and an `info.json` about it, in
which Bear writes its times, and whether it is in the trash.
"""

from collections.abc import Iterator
from typing import NamedTuple

from server.domain.memory.exchange.archive import BUNDLE, Member
from server.domain.memory.exchange.chat_parts import from_json_text, object_in
from server.domain.memory.exchange.entries import Entry, Foreign, Warnings
from server.domain.memory.exchange.moments import with_readable_times
from server.domain.memory.exchange.texts import head_of

_BEAR = "net.shinyfrog.bear"
_TIMES = {"created_at": "creationDate", "updated_at": "modificationDate"}


class Described(NamedTuple):
    """A file, and what the `info.json` of its TextBundle says about it. Other files have an empty one."""

    member: Member
    info: Foreign


def described(members: list[Member]) -> Iterator[Described]:
    """Yield the files except each `info.json`. The text of a TextBundle has the name of the bundle."""
    infos = {
        member.name.rpartition("/")[0]: member for member in members if member.name.endswith(f"{BUNDLE}/info.json")
    }
    for member in members:
        folder, _, name = member.name.rpartition("/")
        about = infos.get(folder)
        if about and name.startswith("text."):
            info = object_in(from_json_text(head_of(about.opener).decode(errors="replace")))
            yield Described(member._replace(name=folder), info | object_in(info.get(_BEAR)))
        elif member is not about:
            yield Described(member, {})


def with_info(entry: Entry, info: Foreign, warnings: Warnings) -> Entry:
    """Return the entry with what the `info.json` says. What the text says about itself stays."""
    fields: Foreign = {name: info[theirs] for name, theirs in _TIMES.items() if info.get(theirs)}
    if _BEAR in info:
        fields |= {"source": "Bear", "pinned": bool(info.get("pinned"))}
    return with_readable_times(entry._replace(fields=fields | entry.fields), warnings)
