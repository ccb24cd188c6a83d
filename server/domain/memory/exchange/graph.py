"""Reads entities with observations, as the official memory server stores them, and relations, which mem0 has too."""

from collections.abc import Iterator
from typing import Any

from server.domain.memory.exchange.entries import Entry, Foreign
from server.domain.memory.metadata import CONTENT_LENGTH

_RELATIONS = (
    ("from", "relationType", "to", "memory-server"),
    ("source", "relationship", "target", "mem0"),
    ("source", "relationship", "destination", "mem0"),
)
_PROGRAMS = {"memory-server": "MCP memory server"}
_PEOPLE = frozenset({"person", "people", "human", "user"})


def is_entity(value: Foreign) -> bool:
    return isinstance(value.get("name"), str) and (
        isinstance(value.get("observations"), list) or value.get("type") == "entity"
    )


def is_relation(value: Foreign) -> bool:
    return _relation(value) is not None


def read_entity(place: str, entity: Foreign) -> Iterator[Entry]:
    """Yield the entity with its observations, in several memories if one would be too long."""
    name, kind = str(entity["name"]), str(entity.get("entityType") or "")
    metadata: Foreign = {"source": "memory-server", "entity": name}
    if kind:
        metadata["entity_type"] = kind
    if kind.casefold() in _PEOPLE:
        metadata["people_mentioned"] = [name]
    head = f"{name} ({kind})" if kind else name
    content = head
    for observation in _listed(entity.get("observations")):
        line = f"\n{observation}"
        if len(content) + len(line) > CONTENT_LENGTH and content != head:
            yield _entry(place, content, metadata, name)
            content = head
        content += line
    yield _entry(place, content, metadata, name)


def _listed(observations: Any) -> list[Any]:
    """Return the observations. Old and damaged files have null for one, or for all."""
    listed = observations if isinstance(observations, list) else [observations]
    return [observation for observation in listed if observation is not None]


def read_relation(place: str, relation: Foreign) -> Iterator[Entry]:
    first, verb, second, source = _relation(relation) or ("", "", "", "")
    metadata: Foreign = {"source": source, "relation": verb, "from": first, "to": second}
    yield _entry(place, f"{first} {verb.replace('_', ' ')} {second}", metadata, "Relations")


def _entry(place: str, content: str, metadata: Foreign, group: str) -> Entry:
    program = metadata["source"]
    return Entry(place, {"content": content, "metadata": metadata, "source": _PROGRAMS.get(program, program)}, group)


def _relation(value: Foreign) -> tuple[str, str, str, str] | None:
    """Return a relation's start, kind and end, and the program whose field names it uses."""
    for *names, source in _RELATIONS:
        first, verb, second = map(value.get, names)
        if isinstance(first, str) and isinstance(verb, str) and isinstance(second, str):
            return first, verb, second, source
    return None
