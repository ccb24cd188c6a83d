"""Reads entities with observations, as the official memory server stores them, relations, which mem0 has too, and the
facts of Zep.
"""

import json
from collections.abc import Iterator
from typing import Any

from server.domain.memory.exchange.chat_parts import object_in
from server.domain.memory.exchange.entries import Entry, Foreign, Warnings
from server.domain.memory.exchange.records import CONTENT_NAMES, read_record
from server.domain.memory.metadata import CONTENT_LENGTH

_RELATIONS = (
    (("from", "relationType", "to"), "memory-server"),
    (("source", "relationship", "target"), "mem0"),
    (("source", "relationship", "destination"), "mem0"),
)
_OF_AN_ENTITY = ("name", "entityType", "observations")
_PROGRAMS = {"memory-server": "MCP memory server"}
_PEOPLE = frozenset({"person", "people", "human", "user"})


def is_entity(value: Foreign) -> bool:
    return isinstance(value.get("name"), str) and (
        isinstance(value.get("observations"), list) or value.get("type") == "entity"
    )


def is_relation(value: Foreign) -> bool:
    return any(_relations(value)) and not value.keys() & set(CONTENT_NAMES)


def is_fact(value: Foreign) -> bool:
    return isinstance(value.get("fact"), str) and not value.keys() & set(CONTENT_NAMES)


def read_fact(place: str, fact: Foreign, warnings: Warnings) -> Iterator[Entry]:
    """Yield a fact of Zep, unless it is no longer true. Such facts are counted in `warnings`."""
    if fact.get("invalid_at") or fact.get("expired_at"):
        warnings.add("facts that are no longer true were left out", place)
        return
    metadata = {"source": "zep"} | ({"relation": fact["name"]} if fact.get("name") else {})
    at = fact.get("valid_at") or fact.get("created_at")
    fields = {"content": fact["fact"], "created_at": at, "metadata": metadata, "source": "Zep"}
    yield from read_record(place, fields, warnings, "Facts")


def read_entity(place: str, entity: Foreign, warnings: Warnings) -> Iterator[Entry]:
    """Yield the entity with its observations, in several memories if one would be too long. Its other fields are read
    as those of a record.
    """
    name, kind = str(entity["name"]), str(entity.get("entityType") or "")
    metadata: Foreign = {"source": "memory-server", "entity": name}
    if kind:
        metadata["entity_type"] = kind
    if kind.casefold() in _PEOPLE:
        metadata["people_mentioned"] = [name]
    head = f"{name} ({kind})" if kind else name
    record = _record(entity, _OF_AN_ENTITY, metadata)
    for content in _contents(head, _listed(entity.get("observations"))):
        yield from read_record(place, record | {"content": content}, warnings, name)


def _contents(head: str, observations: list[str]) -> Iterator[str]:
    content = head
    for observation in observations:
        line = f"\n{observation}"
        if len(content) + len(line) > CONTENT_LENGTH and content != head:
            yield content
            content = head
        content += line
    yield content


def _listed(observations: Any) -> list[str]:
    """Return the observations. Old and damaged files have null for one, or for all."""
    listed = observations if isinstance(observations, list) else [observations]
    return [
        observation if isinstance(observation, str) else json.dumps(observation, ensure_ascii=False)
        for observation in listed
        if observation is not None
    ]


def read_relation(place: str, relation: Foreign, warnings: Warnings) -> Iterator[Entry]:
    """Yield the relation as a sentence. Its other fields are read as those of a record."""
    names, source = next(_relations(relation))
    first, verb, second = map(relation.get, names)
    metadata: Foreign = {"source": source, "relation": verb, "from": first, "to": second}
    record = _record(relation, names, metadata)
    content = f"{first} {str(verb).replace('_', ' ')} {second}"
    yield from read_record(place, record | {"content": content}, warnings, "Relations")


def _record(value: Foreign, names: tuple[str, ...], metadata: Foreign) -> Foreign:
    """Return the fields that are not in `names`, with the metadata and the program."""
    others = {name: part for name, part in value.items() if name not in (*names, "type", "messages")}
    program = metadata["source"]
    return others | {
        "metadata": object_in(others.get("metadata")) | metadata,
        "source": _PROGRAMS.get(program, program),
    }


def _relations(value: Foreign) -> Iterator[tuple[tuple[str, str, str], str]]:
    """Yield the names of a relation's start, kind and end, and the program that uses these names."""
    return (relation for relation in _RELATIONS if all(isinstance(value.get(name), str) for name in relation[0]))
