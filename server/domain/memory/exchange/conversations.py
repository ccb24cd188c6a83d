"""Turns the messages of a conversation into entries: one memory for each question and its answer."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from server.domain.memory.exchange.entries import Entry, Foreign, Warnings
from server.domain.memory.exchange.texts import cut, storable
from server.domain.memory.inputs import MOST_MESSAGES
from server.domain.memory.metadata import is_blank

MEMORY_LENGTH = 20_000
"""Maximum length of a memory. A longer exchange becomes several memories, so that each transaction is short."""

TITLE_LENGTH = 200
_ROLES = {"user": "user", "human": "user", "assistant": "assistant"}


class Chat(NamedTuple):
    """The program that a conversation comes from, and the conversation's id, title and beginning there."""

    program: str
    id: Any
    title: Any
    began: Any


class Utterance(NamedTuple):
    role: str
    text: str
    at: Any


def role_of(name: Any) -> str | None:
    """Return the role of a speaker, or None for anyone but the user and the assistant."""
    return _ROLES.get(name) if isinstance(name, str) else None


def title_of(value: Any) -> str:
    return " ".join(storable(value).split())[:TITLE_LENGTH] if isinstance(value, str) else ""


def count_left_out(kinds: Iterable[str], warnings: Warnings) -> None:
    for kind in kinds:
        warnings.add(f"{kind} in chats were left out: only text is imported")


def branch_to(node_id: Any, nodes: Mapping[str, Foreign], parent: str = "parent") -> list[Foreign]:
    """Return the nodes that lead to the node, oldest first. `parent` is the field with the id of the node before."""
    branch: list[Foreign] = []
    seen = set()
    while isinstance(node_id, str) and node_id not in seen and isinstance(nodes.get(node_id), dict):
        seen.add(node_id)
        branch.append(nodes[node_id])
        node_id = nodes[node_id].get(parent)
    return branch[::-1]


def exchanges(place: str, chat: Chat, utterances: Iterable[Utterance]) -> Iterator[Entry]:
    """Yield the entries. A message without a time has that of the beginning."""
    title = title_of(chat.title)
    group = title or "Untitled"
    origin = {"source": chat.program.casefold().replace(" ", "-"), "conversation_id": chat.id, "title": title}
    metadata = {key: value for key, value in origin.items() if value}
    for exchange in _by_question(utterances):
        at = next((part.at for part in exchange if part.at), chat.began)
        for messages in _in_memories(exchange):
            lines = [f"{message['role']}: {message['content']}" for message in messages]
            fields: Foreign = {
                "content": "\n".join([title, *lines] if title else lines),
                "messages": messages,
                "metadata": metadata,
                "source": chat.program,
            }
            yield Entry(f'{place} ("{group}")', fields | ({"created_at": at} if at else {}), group)


def _by_question(utterances: Iterable[Utterance]) -> Iterator[list[Utterance]]:
    """Yield each question, which may have several parts, with everything that answered it."""
    exchange: list[Utterance] = []
    for part in utterances:
        if is_blank(part.text):
            continue
        if part.role == "user" and exchange and exchange[-1].role == "assistant":
            yield exchange
            exchange = []
        exchange.append(part)
    if exchange:
        yield exchange


def _in_memories(exchange: list[Utterance]) -> Iterator[list[Foreign]]:
    messages: list[Foreign] = []
    length = 0
    for part in exchange:
        for text in cut(storable(part.text)):
            if messages and (length + len(text) > MEMORY_LENGTH or len(messages) == MOST_MESSAGES):
                yield messages
                messages, length = [], 0
            messages.append({"role": part.role, "content": text})
            length += len(text)
    if messages:
        yield messages
