"""Reads agent files of Letta (`.af`): the blocks of an agent's memory, and what was said to it."""

from collections.abc import Iterator

from server.domain.memory.exchange.chat_parts import TOOLS, from_json_text, object_in, objects_in, text_of_parts
from server.domain.memory.exchange.conversations import Chat, Utterance, count_left_out, exchanges, role_of
from server.domain.memory.exchange.entries import Entry, Foreign, Warnings
from server.domain.memory.exchange.texts import cut, storable

BLOCKS = "Memory blocks"
_SEND = "send_message"


def is_letta(value: Foreign) -> bool:
    """Return whether the object is an agent file, or one of the first version, which is a single agent."""
    return (isinstance(value.get("agents"), list) and "blocks" in value) or isinstance(value.get("core_memory"), list)


def read_letta(place: str, value: Foreign, warnings: Warnings) -> Iterator[Entry]:
    """Yield the blocks and the exchanges. Instructions and tools of the agents are counted in `warnings`."""
    for block in (*objects_in(value.get("blocks")), *objects_in(value.get("core_memory"))):
        yield from _read_block(place, block)
    for agent in objects_in(value["agents"]) if "agents" in value else [value]:
        if agent.get("system"):
            warnings.add("instructions to an agent were left out", str(agent.get("name") or ""))
        chat = Chat("Letta", agent.get("id"), agent.get("name"), agent.get("created_at"))
        yield from exchanges(place, chat, list(_said(agent, warnings)))


def _read_block(place: str, block: Foreign) -> Iterator[Entry]:
    metadata = {"source": "letta", "block": str(block.get("label") or "")}
    times = {name: block[name] for name in ("created_at", "updated_at") if block.get(name)}
    for content in cut(storable(str(block.get("value") or ""))):
        yield Entry(place, {"content": content, "metadata": metadata, "source": "Letta", **times}, BLOCKS)


def _said(agent: Foreign, warnings: Warnings) -> Iterator[Utterance]:
    for message in objects_in(agent.get("messages")):
        at = message.get("created_at")
        role = role_of(message.get("role"))
        if role == "user":
            yield Utterance(role, _user_text(message), at)
        elif role == "assistant":
            text = text_of_parts(message.get("content"))
            sent = [_sent(call) for call in objects_in(message.get("tool_calls"))]
            # An agent that answers by a tool thinks aloud in its content.
            yield Utterance(role, "\n".join(filter(None, sent)) or text, at)
            count_left_out([TOOLS for text in sent if not text], warnings)
        elif role is None and message.get("role") == "tool":
            count_left_out([TOOLS], warnings)


def _user_text(message: Foreign) -> str:
    """Return what the user said. Letta wraps it in JSON, as it does with events, which are nothing the user said."""
    text = text_of_parts(message.get("content"))
    wrapped = object_in(from_json_text(text))
    if "type" not in wrapped:
        return text
    return str(wrapped.get("message") or "") if wrapped["type"] == "user_message" else ""


def _sent(call: Foreign) -> str:
    """Return the message that the call sends to the user, or "" for any other call."""
    function = object_in(call.get("function"))
    if function.get("name") != _SEND:
        return ""
    return str(object_in(from_json_text(function.get("arguments"))).get("message") or "")
