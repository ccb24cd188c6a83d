"""Exports of other assistants become memories, with their times, and what is left out is counted."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from server.domain.memory.exchange.entries import Warnings
from server.domain.memory.exchange.moments import UNREAD
from server.domain.memory.exchange.sources import read_path
from tests.support.moving import AT, CLAUDE, chat, read, said, texts, zipped

LATER = "2024-01-02T00:00:00Z"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "given"


def libre(number: int, text: str, parent: int, **fields: Any) -> dict[str, Any]:
    return {
        "messageId": f"m{number}", "parentMessageId": f"m{parent}", "isCreatedByUser": number % 2 == 1, "text": text,
        "createdAt": AT, "sender": "x", **fields,
    }  # fmt: skip


ANSWER = [{"type": "think", "think": "HM"}, {"type": "text", "text": "Latte."}, {"type": "tool_call", "tool_call": {}}]
OLD, NEW = libre(2, "Tea.", 1), libre(4, "", 1, content=ANSWER)
LIBRECHAT = {
    "branches": libre(1, "What do I drink?", 0) | {"children": [OLD | {"children": []}, NEW | {"children": []}]},
    "a list": [libre(1, "What do I drink?", 0), OLD, NEW],
}


@pytest.mark.parametrize("form", LIBRECHAT)
@pytest.mark.parametrize("name", ["messages", "messagesTree"])
def test_the_newest_branch_of_librechat_is_read(path: Path, form: str, name: str) -> None:
    messages = LIBRECHAT[form]
    listed = messages if isinstance(messages, list) else [messages]
    export: dict[str, Any] = {
        "conversationId": "c1",
        "endpoint": "agents",
        "title": "Coffee",
        "options": {},
        name: listed,
    }
    warnings = Warnings()
    (line,) = read(path, json.dumps(export), warnings=warnings)
    assert line.content == "Coffee\nuser: What do I drink?\nassistant: Latte."
    assert (line.created_at.year, line.source and line.source.name) == (2024, "LibreChat")
    assert line.metadata == {"source": "librechat", "conversation_id": "c1", "title": "Coffee"}
    assert [sentence.partition(" in chats")[0] for sentence in warnings.sentences()] == [
        "the assistant's thoughts", "tool calls and their results",
    ]  # fmt: skip


def test_the_current_branch_of_open_webui_is_read_without_its_thoughts(path: Path) -> None:
    thoughts = '<details type="reasoning" done="true">\n<summary>Thought</summary>\n> HM\n</details>\nPorto'
    messages = {
        "1": {"parentId": None, "role": "user", "content": "Where in May?", "timestamp": 1_704_067_200},
        "2": {"parentId": "1", "role": "assistant", "content": "REPLACED"},
        "3": {"parentId": "1", "role": "assistant", "content": thoughts, "files": [{"type": "file"}]},
    }
    chat = {"title": "Trip", "models": ["m"], "history": {"messages": messages, "currentId": "3"}, "messages": []}
    export = [{"id": "o1", "user_id": "u", "title": "Trip", "chat": chat, "created_at": 1_704_067_200, "meta": {}}]
    warnings = Warnings()
    (line,) = read(path, json.dumps(export), warnings=warnings)
    assert line.content == "Trip\nuser: Where in May?\nassistant: Porto"
    assert (line.created_at.year, line.source and line.source.name) == (2024, "Open WebUI")
    assert len(warnings.sentences()) == 2


def test_an_old_chat_of_open_webui_has_only_a_list(path: Path) -> None:
    chat = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}
    assert texts(path, json.dumps([{"title": "T", "chat": chat}])) == ["T\nuser: Hi\nassistant: Hello"]


@pytest.mark.parametrize("newest", [{"currentId": "2"}, {}])
def test_qwen_is_read_by_the_parts_of_its_answers(path: Path, newest: dict[str, Any]) -> None:
    parts = [{"phase": "think", "content": "HM"}, {"phase": "web_search", "content": ""}]
    parts += [{"phase": "answer", "content": "Because."}]
    messages = {
        "1": {"parentId": None, "role": "user", "content": "Why?", "timestamp": 1_704_067_200, "chat_type": "t2t"},
        "2": {"parentId": "1", "role": "assistant", "content": "", "content_list": parts, "chat_type": "t2t"},
    }
    chat = {"id": "q", "title": "T", "chat": {"history": {"messages": messages} | newest, "models": ["qwen3-max"]}}
    warnings = Warnings()
    (line,) = read(path, json.dumps({"success": True, "request_id": "r", "data": [chat]}), warnings=warnings)
    assert (line.content, line.source and line.source.name) == ("T\nuser: Why?\nassistant: Because.", "Qwen")
    assert line.created_at.year == 2024
    assert len(warnings.sentences()) == 2


def test_deepseek_is_read_by_its_fragments(path: Path) -> None:
    def node(parent: str, *fragments: tuple[str, str]) -> dict[str, Any]:
        parts = [{"type": kind, "content": text} for kind, text in fragments]
        return {"parent": parent, "message": {"inserted_at": AT, "files": [], "fragments": parts}}

    mapping = {
        "root": {"parent": None, "message": None},
        "1": node("root", ("REQUEST", "Why?")),
        "2": node("1", ("THINK", "HM"), ("RESPONSE", "Because.")),
    }
    warnings = Warnings()
    (line,) = read(
        path, json.dumps([{"id": "d", "title": "T", "inserted_at": AT, "mapping": mapping}]), warnings=warnings
    )
    assert (line.content, line.source and line.source.name) == ("T\nuser: Why?\nassistant: Because.", "DeepSeek")
    assert "thoughts" in warnings.sentences()[0]


def test_grok_is_read_from_its_zip(path: Path) -> None:
    def response(sender: str, text: str) -> dict[str, Any]:
        at = {"$date": {"$numberLong": "1704067200000"}}
        return {
            "response": {"_id": "r", "sender": sender, "message": text, "create_time": at, "file_attachments": ["f"]}
        }

    said = [response("human", "Why?"), response("ASSISTANT", "Because.")]
    chat = {"conversation": {"id": "c", "title": "T", "create_time": AT}, "responses": said}
    files = {
        "ttl/30d/export_data/u/prod-grok-backend.json": {"conversations": [chat], "projects": [], "tasks": []},
        "ttl/30d/export_data/u/prod-mc-auth-mgmt-api.json": {"user": {"email": "a@example.com"}},
    }
    warnings = Warnings()
    (line,) = read(zipped(path, {name: json.dumps(file) for name, file in files.items()}), warnings=warnings)
    assert (line.content, line.source and line.source.name) == ("T\nuser: Why?\nassistant: Because.", "Grok")
    assert line.created_at.year == 2024
    assert [sentence.partition(" ")[0] for sentence in warnings.sentences()] == ["attached", "files"]


BLOCK = {"id": "block-0", "label": "human", "value": "Her name is Sarah.", "limit": 5_000}


def test_an_agent_of_letta_is_its_blocks_and_what_was_said(path: Path) -> None:
    sent = {"function": {"name": "send_message", "arguments": json.dumps({"message": "Hello Sarah."})}}
    messages = [
        {"role": "system", "content": [{"type": "text", "text": "SYSTEM"}]},
        {"role": "user", "content": [{"type": "text", "text": '{"type": "login", "time": "x"}'}]},
        {"role": "user", "content": [{"type": "text", "text": '{"type": "user_message", "message": "I am Sarah."}'}]},
        {"role": "assistant", "content": [{"type": "text", "text": "HM"}], "tool_calls": [sent], "created_at": AT},
        {"role": "tool", "content": [{"type": "text", "text": "OK"}]},
    ]
    agent = {"id": "agent-0", "name": "sam", "system": "SYSTEM", "messages": messages, "created_at": AT}
    export = {"agents": [agent], "blocks": [BLOCK], "tools": [{"name": "t"}], "groups": [], "metadata": {"x": 1}}
    warnings = Warnings()
    block, said = read(path, json.dumps(export), warnings=warnings)
    assert (block.content, block.metadata) == ("Her name is Sarah.", {"source": "letta", "block": "human"})
    assert said.content == "sam\nuser: I am Sarah.\nassistant: Hello Sarah."
    assert said.created_at.year == 2024
    assert warnings.sentences()[0] == "instructions to an agent were left out, such as sam (1 time)"


def test_an_agent_file_of_the_first_version_is_read(path: Path) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "Hi"}], "created_at": AT}]
    export = {"agent_type": "memgpt_agent", "core_memory": [BLOCK], "messages": messages, "name": "s", "tools": []}
    for content in (json.dumps(export), json.dumps(json.dumps(export, indent=2))):
        assert texts(path, content) == ["Her name is Sarah.", "s\nuser: Hi"]


def test_questions_to_gemini_are_read_with_their_answers(path: Path) -> None:
    html = "<p>Anna lives <b>in&nbsp;Lyon</b>.</p><style>X</style><ul><li>Rue A</li><li>Rue B</li></ul>"
    asked = {"header": "Gemini Apps", "title": "Prompted Where is Anna?", "time": AT, "safeHtmlItem": [{"html": html}]}
    others = [
        {"header": "Gemini Apps", "title": "Gave feedback", "time": AT, "products": ["Gemini Apps"]},
        {"header": "Search", "title": "Searched for tea", "time": AT, "products": ["Search"]},
    ]
    warnings = Warnings()
    (line,) = read(path, json.dumps([asked, *others]), warnings=warnings)
    assert line.content == "user: Where is Anna?\nassistant: Anna lives in Lyon.\n- Rue A\n- Rue B"
    assert (line.created_at.year, line.source and line.source.name) == (2024, "Gemini")
    assert warnings.sentences() == [
        "activities in Gemini other than questions were left out, such as Gave feedback (1 time)",
        "activities in other Google products were left out, such as Search (1 time)",
    ]


def gemini(html: str) -> dict[str, Any]:
    return {"header": "Gemini Apps", "title": "Prompted tea", "time": AT, "safeHtmlItem": [{"html": html}]}


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("a<!-- <b> -->b <a title=\"x>y\" href='/'>link</a> 1 < 2 &lt;b&gt;", "ab link 1 < 2 <b>"),
        ('<SCRIPT>if (a<b) "</p>"</SCRIPT>tea<style>', "tea"),
        ("<h1>Tea</h1><p>Green.<br/>Black.<td>a</td><td>b</td>", "Tea\nGreen.\nBlack. a b"),
        ("tea <unclosed &#" + "1" * 5_000, "tea <unclosed &#" + "1" * 5_000),
        ("1 <a '> 2 <a href=\"> 3", "1 <a '> 2 <a href=\"> 3"),
    ],
)
def test_the_html_of_gemini_is_read_as_its_text(path: Path, html: str, text: str) -> None:
    (line,) = read(path, json.dumps([gemini(html)]))
    assert line.content == f"user: tea\nassistant: {text}"


KEEP: dict[str, Any] = {"isTrashed": False, "userEditedTimestampUsec": 1_704_153_600_000_000}
OPENINGS = ("<a ", "<a b='", '<a b="', "<!", "<!--", "<![", "<?", "</", "<a/", "<script>", "&")
LONG = 300_000


@pytest.mark.parametrize(
    "export",
    [
        *([gemini(opening * (LONG // len(opening)))] for opening in OPENINGS),
        [{"uuid": "A", "creationDate": AT, "text": "![" * LONG}],
        [KEEP | {"textContent": "ab" * LONG, "annotations": [{"url": "abb"}] * (LONG // 10)}],
        [{"uuid": "A", "creationDate": AT, "text": "![](dayone-moment:" * LONG}],
        [{"title": "t", "chat": {"messages": [{"role": "assistant", "content": "<details " * LONG}]}}],
        [{"title": "t", "chat": {"messages": [{"role": "assistant", "content": '<details type="x">' * LONG}]}}],
    ],
    ids=[*OPENINGS, "picture", "links", "moment", "details", "folded"],
)
def test_parts_that_never_end_take_no_longer_than_their_length_asks(path: Path, export: list[dict[str, Any]]) -> None:
    """One regular expression holds up every thread of the server until it ends."""
    path.write_text(json.dumps(export))
    began = time.process_time()
    list(read_path(path, Warnings()))
    assert time.process_time() - began < 5


def test_facts_of_zep_are_read_while_they_are_true(path: Path) -> None:
    fact = {"uuid": "e1", "fact": "Anna owns a bike", "name": "OWNS", "valid_at": AT, "invalid_at": None}
    warnings = Warnings()
    for export in ({"facts": [fact]}, [fact, fact | {"invalid_at": LATER}]):
        (line,) = read(path, json.dumps(export), warnings=warnings)
        assert (line.content, line.created_at.year) == ("Anna owns a bike", 2024)
    assert warnings.sentences() == ["facts that are no longer true were left out, such as item 2 (1 time)"]


@pytest.mark.parametrize(
    "exports",
    [
        [{"uuid": at, "creationDate": at, "text": "tea"} for at in ("1965-05-01T00:00:00Z", AT)],
        [CLAUDE | {"chat_messages": [{"sender": "human", "text": "tea", "created_at": at}]} for at in ("soon", AT)],
        [chat(mapping={"a": said("user", "tea", None, create_time=at)}) for at in (-62_135_596_800, 1_704_067_200)],
        [KEEP | {"textContent": "tea", "userEditedTimestampUsec": at} for at in ("soon", 1_704_067_200_000_000)],
    ],
    ids=["Day One", "Claude", "ChatGPT", "Keep"],
)
def test_a_time_that_no_memory_may_have_does_not_stop_the_others(path: Path, exports: list[dict[str, Any]]) -> None:
    warnings = Warnings()
    unread, line = read(path, json.dumps(exports), warnings=warnings)
    assert (line.created_at.year, "created_at" in line.metadata, "created_at" in unread.metadata) == (2024, False, True)
    (sentence,) = warnings.sentences()
    assert (sentence.startswith(UNREAD), sentence.endswith("(1 time)")) == (True, True)


def test_messages_in_parts_are_their_text(path: Path) -> None:
    parts = [{"type": "text", "text": "I am Anna."}]
    message = {"role": "user", "content": parts}
    assert texts(path, json.dumps([{"messages": [message]}])) == ["I am Anna."]
    assert texts(path, json.dumps([{"messages": [message, message]}])) == ["user: I am Anna.\nuser: I am Anna."]


def test_messages_alone_have_the_time_of_the_first(path: Path) -> None:
    messages = [{"role": "Anna", "content": "Hi", "created_at": AT}, {"role": "bot", "content": "Hello"}]
    (line,) = read(path, json.dumps({"messages": messages}))
    assert (line.content, line.created_at.year) == ("Anna: Hi\nbot: Hello", 2024)
    (line,) = read(path, json.dumps({"messages": messages, "created_at": "2023-01-01"}))
    assert line.created_at.year == 2023
