"""Reads the conversations of ChatGPT's and Claude's exports: one memory for each question and its answer."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from server.domain.memory.exchange.entries import NAME_LENGTH, Entry, Foreign, Warnings
from server.domain.memory.exchange.records import moment
from server.domain.memory.exchange.texts import cut, storable
from server.domain.memory.inputs import MOST_MESSAGES

MEMORY_LENGTH = 20_000
"""Characters of a memory. A longer exchange becomes several memories, so that each is stored in a short transaction."""

MESSAGE_LENGTH = 10_000
TITLE_LENGTH = 200
_ROLES = {"user": "user", "human": "user", "assistant": "assistant"}


class Said(NamedTuple):
    role: str
    text: str
    at: Any


def is_chatgpt(value: Foreign) -> bool:
    return isinstance(value.get("mapping"), dict)


def is_claude(value: Foreign) -> bool:
    return isinstance(value.get("chat_messages"), list)


def read_chatgpt(place: str, conversation: Foreign, warnings: Warnings) -> Iterator[Entry]:
    """Yield the exchanges of the branch that was kept, which leads to `current_node`.

    What was said otherwise than in text is counted in `warnings`.
    """
    source = {"source": "chatgpt", "conversation_id": conversation.get("conversation_id") or conversation.get("id")}
    title = _title(conversation.get("title"))
    said = _kept_branch(conversation, warnings)
    yield from _exchanges(place, title, source, said, moment(conversation.get("create_time")))


def read_claude(place: str, conversation: Foreign, warnings: Warnings) -> Iterator[Entry]:
    """Yield the exchanges. What was said otherwise than in text is counted in `warnings`."""
    source = {"source": "claude", "conversation_id": conversation.get("uuid")}
    messages = [message for message in conversation["chat_messages"] if isinstance(message, dict)]
    said = (
        Said(_ROLES[message["sender"]], _claude_text(message, warnings), message.get("created_at"))
        for message in messages
        if message.get("sender") in _ROLES
    )
    yield from _exchanges(place, _title(conversation.get("name")), source, said, conversation.get("created_at"))


def _kept_branch(conversation: Foreign, warnings: Warnings) -> Iterator[Said]:
    mapping = conversation["mapping"]
    node_id = conversation.get("current_node")
    if not isinstance(node_id, str) or node_id not in mapping:
        node_id = next(reversed(mapping), None)  # exports without the field end with the newest
    branch: list[Foreign] = []
    seen = set()
    while isinstance(node_id, str) and node_id not in seen and isinstance(mapping.get(node_id), dict):
        seen.add(node_id)
        branch.append(mapping[node_id])
        node_id = mapping[node_id].get("parent")
    for node in reversed(branch):
        message = node.get("message")
        if isinstance(message, dict) and (role := _spoken_by(message)):
            _count_attachments(message.get("metadata"), "attachments", warnings)
            yield Said(role, _chatgpt_text(message.get("content"), warnings), moment(message.get("create_time")))


def _spoken_by(message: Foreign) -> str | None:
    """Return who said what people saw. Calls of tools, their results and hidden instructions are not part of it."""
    author, metadata = message.get("author"), message.get("metadata")
    if isinstance(metadata, dict) and metadata.get("is_visually_hidden_from_conversation"):
        return None
    if message.get("recipient") not in (None, "all") or not isinstance(author, dict):
        return None
    role = author.get("role")
    return _ROLES.get(role) if isinstance(role, str) else None


def _chatgpt_text(content: Any, warnings: Warnings) -> str:
    if not isinstance(content, dict):
        return ""
    if content.get("content_type") not in ("text", "multimodal_text"):
        _leave_out(content.get("content_type"), warnings)
        return ""
    return "\n".join(filter(None, (_part_text(part, warnings) for part in _listed(content.get("parts")))))


def _part_text(part: Any, warnings: Warnings) -> str:
    """Return a part that is text, or what was said in one that is sound."""
    spoken = part.get("text") if isinstance(part, dict) else part
    if isinstance(spoken, str):
        return spoken
    _leave_out(part.get("content_type") if isinstance(part, dict) else None, warnings)
    return ""


def _claude_text(message: Foreign, warnings: Warnings) -> str:
    """Return the blocks of text. Older exports have `text` alone."""
    for kind in ("attachments", "files"):
        _count_attachments(message, kind, warnings)
    shown = []
    for block in _listed(message.get("content")):
        if isinstance(block, dict) and block.get("type") == "text" and isinstance(block.get("text"), str):
            shown.append(block["text"])
        elif isinstance(block, dict):
            _leave_out(block.get("type"), warnings)
    text = "\n".join(shown).strip() or message.get("text")
    return text if isinstance(text, str) else ""


def _count_attachments(message: Any, name: str, warnings: Warnings) -> None:
    for _ in _listed(message.get(name) if isinstance(message, dict) else None):
        warnings.add("an attached file was left out; import it by itself")


def _leave_out(kind: Any, warnings: Warnings) -> None:
    """Count what is no text. `kind` is how the export names it."""
    name = kind[:NAME_LENGTH] if isinstance(kind, str) and kind else "unknown"
    warnings.add(f"{name}: a part of a conversation that is no text was left out")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _exchanges(place: str, title: str, source: Foreign, said: Iterable[Said], began: Any) -> Iterator[Entry]:
    group = title or "Untitled"
    metadata = {**{key: value for key, value in source.items() if value}, **({"title": title} if title else {})}
    for exchange in _by_question(said):
        at = next((part.at for part in exchange if part.at), began)
        for messages in _in_memories(exchange):
            lines = [f"{message['role']}: {message['content']}" for message in messages]
            fields: Foreign = {
                "content": "\n".join([title, *lines] if title else lines),
                "messages": messages,
                "metadata": metadata,
            }
            yield Entry(f'{place} ("{group}")', fields | ({"created_at": at} if at else {}), group)


def _by_question(said: Iterable[Said]) -> Iterator[list[Said]]:
    """Yield each question, which may have several parts, with all that was answered."""
    exchange: list[Said] = []
    for part in said:
        if not part.text.strip():
            continue
        if part.role == "user" and exchange and exchange[-1].role == "assistant":
            yield exchange
            exchange = []
        exchange.append(part)
    if exchange:
        yield exchange


def _in_memories(exchange: list[Said]) -> Iterator[list[Foreign]]:
    messages: list[Foreign] = []
    length = 0
    for part in exchange:
        for text in cut(storable(part.text), MESSAGE_LENGTH):
            if messages and (length + len(text) > MEMORY_LENGTH or len(messages) == MOST_MESSAGES):
                yield messages
                messages, length = [], 0
            messages.append({"role": part.role, "content": text})
            length += len(text)
    if messages:
        yield messages


def _title(value: Any) -> str:
    return " ".join(storable(value).split())[:TITLE_LENGTH] if isinstance(value, str) else ""
