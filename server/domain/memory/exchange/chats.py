"""Reads the conversations of ChatGPT's and Claude's exports: one memory for each question and its answer. Claude also
exports what it remembers: one memory for each part with a title in bold.
"""

import re
from collections.abc import Iterable, Iterator
from types import NoneType
from typing import Any

from server.domain.memory.exchange.chat_parts import (
    from_json_text,
    left_out_of_chatgpt,
    left_out_of_claude,
    object_in,
    objects_in,
    text_of_parts,
)
from server.domain.memory.exchange.conversations import Chat, Utterance, branch_to, count_left_out, exchanges, role_of
from server.domain.memory.exchange.entries import Entry, Foreign, Warnings
from server.domain.memory.exchange.texts import cut, storable

_NESTED = (dict, NoneType)
_LISTED = (list, NoneType)
"""A conversation without messages has null."""

CLAUDE_MEMORY = "Memory of Claude"
_OF_CLAUDE_MEMORY = ("conversations_memory", "project_memories", "account_uuid")
_PARENT = "parent_message_uuid"
_REFERENCE = re.compile("( ?)\ue200(\\w+)\ue202([^\ue200\ue201]*+)\ue201")
"""What ChatGPT writes into its answers for a source, a picture, a link, or the name of a person, place or thing."""

_LINKS = ("url", "link_title")
_PART = re.compile(r"\n(?=\*\*[^*\n]+\*\*[ \t]*\n)")


def is_chatgpt(value: Foreign) -> bool:
    return isinstance(value.get("mapping", ""), _NESTED)


def is_claude(value: Foreign) -> bool:
    return isinstance(value.get("chat_messages", ""), _LISTED)


def is_claude_memory(value: Foreign) -> bool:
    return "conversations_memory" in value


def read_chatgpt(place: str, conversation: Foreign, warnings: Warnings) -> Iterator[Entry]:
    """Yield the exchanges of the current branch, which leads to `current_node`. Anything but text is counted in
    `warnings`.
    """
    chat_id = conversation.get("conversation_id") or conversation.get("id")
    chat = Chat("ChatGPT", chat_id, conversation.get("title"), conversation.get("create_time"))
    yield from exchanges(place, chat, _chatgpt_utterances(_kept_branch(conversation), warnings))


def read_claude(place: str, conversation: Foreign, warnings: Warnings) -> Iterator[Entry]:
    """Yield the exchanges of the current branch. Anything but text is counted in `warnings`."""
    chat = Chat("Claude", conversation.get("uuid"), conversation.get("name"), conversation.get("created_at"))
    messages = _kept_messages(conversation)
    for message in messages:
        count_left_out(left_out_of_claude(message), warnings)
    utterances = (
        Utterance(role, _claude_text(message), message.get("created_at"))
        for message in messages
        if (role := role_of(message.get("sender")))
    )
    yield from exchanges(place, chat, utterances)


def read_claude_memory(place: str, value: Foreign, warnings: Warnings) -> Iterator[Entry]:
    """Yield the parts of what Claude remembers, of all conversations and of each project."""
    for name in value.keys() - set(_OF_CLAUDE_MEMORY):
        warnings.unknown(name)
    for project, text in {"": value["conversations_memory"], **object_in(value.get("project_memories"))}.items():
        metadata = {"source": "claude", "project": project} if project else {"source": "claude"}
        for part in _PART.split(storable(text)) if isinstance(text, str) else ():
            for content in cut(part):
                yield Entry(place, {"content": content, "metadata": metadata, "source": "Claude"}, CLAUDE_MEMORY)


def _kept_branch(conversation: Foreign) -> Iterator[Foreign]:
    """Yield the visible messages of the current branch, oldest first."""
    for node in _branch(conversation["mapping"] or {}, conversation.get("current_node"), "parent"):
        message = node.get("message")
        if isinstance(message, dict) and not _is_hidden(message):
            yield message


def _kept_messages(conversation: Foreign) -> list[Foreign]:
    """Return the messages of the current branch, oldest first. An edited question and another answer begin a branch.

    All messages are returned if their parents make no tree. Older exports name no parents.
    """
    messages = [message for message in conversation["chat_messages"] or () if isinstance(message, dict)]
    links = [(str(message[_PARENT]), str(message.get("sender"))) for message in messages if message.get(_PARENT)]
    has_branches = len(links) > len(set(links)) == len({parent for parent, _ in links})
    if not has_branches:
        return messages
    by_id = {str(message.get("uuid")): message for message in messages}
    return _branch(by_id, conversation.get("current_leaf_message_uuid"), _PARENT)


def _branch(nodes: Foreign, node_id: Any, parent: str) -> list[Foreign]:
    """Like `branch_to`, but to the last node if the export does not name an existing one."""
    known = isinstance(node_id, str) and node_id in nodes
    return branch_to(node_id if known else next(reversed(nodes), None), nodes, parent)


def _is_hidden(message: Foreign) -> bool:
    return bool(object_in(message.get("metadata")).get("is_visually_hidden_from_conversation"))


def _chatgpt_utterances(messages: Iterable[Foreign], warnings: Warnings) -> Iterator[Utterance]:
    for message in messages:
        count_left_out(left_out_of_chatgpt(message), warnings)
        if role := _spoken_by(message):
            yield Utterance(role, _chatgpt_text(message.get("content")), message.get("create_time"))


def _spoken_by(message: Foreign) -> str | None:
    """Return the speaker of the message, or None for tool calls and their results."""
    is_spoken = message.get("recipient") in (None, "all")
    return role_of(object_in(message.get("author")).get("role")) if is_spoken else None


def _chatgpt_text(content: Any) -> str:
    if not isinstance(content, dict) or content.get("content_type") not in ("text", "multimodal_text"):
        return ""
    parts = content.get("parts")
    text = "\n".join(filter(None, map(_part_text, parts if isinstance(parts, list) else ())))
    return _REFERENCE.sub(_name_in, text)


def _name_in(reference: re.Match[str]) -> str:
    """Return the name that ChatGPT shows for the reference, or "" for a source or a picture."""
    blank, kind, fields = reference.groups()
    first = fields.partition("\ue202")[0]
    entity = from_json_text(first) if kind == "entity" else ()
    name = entity[1] if isinstance(entity, list) and len(entity) > 1 else first if kind in _LINKS else ""
    return f"{blank}{name}" if name else ""


def _part_text(part: Any) -> str:
    """Return the text of a text part, or the transcript of an audio part."""
    spoken = part.get("text") if isinstance(part, dict) else part
    return spoken if isinstance(spoken, str) else ""


def _claude_text(message: Foreign) -> str:
    """Return the text blocks and the texts of attached files, joined. Older exports have only `text`. Claude makes a
    file of a long text that a person pastes.
    """
    parts = [text_of_parts(message.get("content")).strip() or message.get("text")]
    for file in objects_in(message.get("attachments")):
        if text := file.get("extracted_content"):
            parts += [file.get("file_name"), text]
    return "\n".join(part for part in parts if isinstance(part, str) and part)
