"""Reads the conversations of DeepSeek, Grok, LibreChat, Open WebUI and Qwen: a memory for each question and answer."""

import re
from collections.abc import Iterator
from typing import Any

from server.domain.memory.exchange.chat_parts import (
    FILES,
    THOUGHTS,
    TOOLS,
    left_out_of_parts,
    object_in,
    objects_in,
    text_of_parts,
)
from server.domain.memory.exchange.conversations import Chat, Utterance, branch_to, count_left_out, exchanges, role_of
from server.domain.memory.exchange.entries import Entry, Foreign, Warnings

_FRAGMENTS = {"REQUEST": "user", "RESPONSE": "assistant"}
_FOLDED = re.compile(r"<details\b([^<>]*+)>")
"""Open WebUI writes thoughts and tool calls into the text of an answer."""

_UNFOLDED = "</details>"
_SPACE = re.compile(r"\s*")
_KIND = re.compile(r'\btype="(\w+)"')


def is_deepseek(value: Foreign) -> bool:
    return isinstance(value.get("mapping"), dict) and "inserted_at" in value


def is_grok(value: Foreign) -> bool:
    return isinstance(value.get("conversation"), dict) and isinstance(value.get("responses"), list)


def is_librechat(value: Foreign) -> bool:
    return "conversationId" in value and isinstance(_messages_of_librechat(value), list)


def is_open_webui(value: Foreign) -> bool:
    chat = value.get("chat")
    return isinstance(chat, dict) and ("history" in chat or "messages" in chat)


def read_deepseek(place: str, conversation: Foreign, warnings: Warnings) -> Iterator[Entry]:
    """Yield the exchanges of the newest branch. Thoughts and searches are counted in `warnings`."""
    mapping = conversation["mapping"]
    utterances = []
    for node in branch_to(next(reversed(mapping), None), mapping):
        message = object_in(node.get("message"))
        count_left_out([FILES for _ in objects_in(message.get("files"))], warnings)
        for fragment in objects_in(message.get("fragments")):
            kind = str(fragment.get("type"))
            if kind in _FRAGMENTS:
                text = str(fragment.get("content") or "")
                utterances.append(Utterance(_FRAGMENTS[kind], text, message.get("inserted_at")))
            else:
                count_left_out([THOUGHTS if kind == "THINK" else TOOLS], warnings)
    chat = Chat("DeepSeek", conversation.get("id"), conversation.get("title"), conversation["inserted_at"])
    yield from exchanges(place, chat, utterances)


def read_grok(place: str, value: Foreign, warnings: Warnings) -> Iterator[Entry]:
    """Yield the exchanges. Attached files are counted in `warnings`."""
    conversation, utterances = value["conversation"], []
    for said in objects_in(value["responses"]):
        response = object_in(said.get("response"))
        files = response.get("file_attachments")
        count_left_out([FILES for _ in (files if isinstance(files, list) else ())], warnings)
        if role := role_of(str(response.get("sender")).casefold()):
            at = response.get("create_time")
            at = object_in(object_in(at).get("$date")).get("$numberLong", at)  # as MongoDB writes a time
            utterances.append(Utterance(role, str(response.get("message") or ""), at))
    chat = Chat("Grok", conversation.get("id"), conversation.get("title"), conversation.get("create_time"))
    yield from exchanges(place, chat, utterances)


def read_librechat(place: str, conversation: Foreign, warnings: Warnings) -> Iterator[Entry]:
    """Yield the exchanges of the newest branch. Anything but text is counted in `warnings`."""
    messages = list(_flat(_messages_of_librechat(conversation)))
    by_id = {message["messageId"]: message for message in messages if isinstance(message.get("messageId"), str)}
    newest = messages[-1].get("messageId") if messages else None
    branch = branch_to(newest, by_id, "parentMessageId")
    utterances = []
    for message in branch if len(branch) > 1 else messages:
        count_left_out(left_out_of_parts(message.get("content")), warnings)
        count_left_out([FILES for _ in objects_in(message.get("files"))], warnings)
        role = "user" if message.get("isCreatedByUser") else "assistant"
        text = text_of_parts(message.get("content")) or str(message.get("text") or "")
        utterances.append(Utterance(role, text, message.get("createdAt")))
    chat = Chat("LibreChat", conversation["conversationId"], conversation.get("title"), None)
    yield from exchanges(place, chat, utterances)


def read_open_webui(place: str, value: Foreign, warnings: Warnings) -> Iterator[Entry]:
    """Yield the exchanges of the current branch, also of Qwen, which writes nearly the same. Thoughts, tool calls and
    files are counted in `warnings`.
    """
    conversation = value["chat"]
    history = object_in(conversation.get("history"))
    nodes = object_in(history.get("messages"))
    messages = (
        branch_to(history.get("currentId"), nodes, "parentId")
        or objects_in(conversation.get("messages"))
        or branch_to(next(reversed(nodes), None), nodes, "parentId")
    )
    utterances = []
    for message in messages:
        count_left_out([FILES for _ in objects_in(message.get("files"))], warnings)
        texts = (_text_of_open_webui(message, warnings), _text_of_qwen(message, warnings))
        if role := role_of(message.get("role")):
            utterances.append(Utterance(role, texts[0] or texts[1], message.get("timestamp")))
    title = value.get("title") or conversation.get("title")
    program = "Qwen" if any("chat_type" in message for message in messages) else "Open WebUI"
    yield from exchanges(place, Chat(program, value.get("id"), title, value.get("created_at")), utterances)


def _text_of_open_webui(message: Foreign, warnings: Warnings) -> str:
    count_left_out(left_out_of_parts(message.get("content")), warnings)
    text, kinds = _without_folded(text_of_parts(message.get("content")))
    count_left_out([THOUGHTS if kind == "reasoning" else TOOLS for kind in kinds], warnings)
    return text


def _text_of_qwen(message: Foreign, warnings: Warnings) -> str:
    """Return the text of the parts of an answer, which often has no other."""
    texts = []
    for part in objects_in(message.get("content_list")):
        phase = str(part.get("phase"))
        if phase == "answer":
            texts.append(str(part.get("content") or ""))
        else:
            count_left_out([THOUGHTS if "think" in phase else TOOLS], warnings)
    return "\n".join(filter(None, texts))


def _without_folded(text: str) -> tuple[str, list[str]]:
    """Return the text without what is folded, and the kind of each such part. Reads the text once."""
    kept: list[str] = []
    kinds: list[str] = []
    at = 0
    for tag in _FOLDED.finditer(text):
        kind = _KIND.search(tag[1])
        if tag.start() < at or kind is None:
            continue
        end = text.find(_UNFOLDED, tag.end())
        if end < 0:
            break
        kept.append(text[at : tag.start()])
        kinds.append(kind[1])
        space = _SPACE.match(text, end + len(_UNFOLDED))
        at = space.end() if space else end
    return "".join([*kept, text[at:]]), kinds


def _messages_of_librechat(value: Foreign) -> Any:
    return value.get("messagesTree", value.get("messages"))


def _flat(messages: Any) -> Iterator[Foreign]:
    """Yield the messages, each before its answers. `children` has the answers, unless the export is a plain list."""
    waiting = objects_in(messages)[::-1]
    while waiting:
        message = waiting.pop()
        yield message
        waiting += objects_in(message.get("children"))[::-1]
