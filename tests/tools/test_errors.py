"""A failing tool answers with one sentence that says what to do, and logs no arguments."""

import logging

import httpx
import pytest
import sqlalchemy as sa

from server.domain.teams import api_keys
from server.domain.teams.api_keys import NewKey
from server.models import Project, ProjectMember, ProjectRole
from server.settings import Settings
from server.storage.database import Database
from tests.conftest import Tenant
from tests.support.tables import rows
from tests.tools.conftest import MODERN, Mcp


@rows(
    ("tool", "arguments", "sentence"),
    [
        ("search", {}, "query: is required."),
        ("search", {"query": "x" * 10_001}, "query: must have at most 10000 characters."),
        ("search", {"query": "x", "limit": 101}, "limit: must be at most 100."),
        ("search", {"query": "x", "limit": "many"}, "limit: must be a whole number."),
        ("search", {"query": "x", "threshold": 1.5}, "threshold: must be at most 1."),
        ("search", {"query": "x", "tags": 7}, "tags: must be comma-separated text or a list of strings."),
        ("search", {"query": "x", "tags": ["a\0"]}, "tags.0: NUL characters and infinite numbers cannot be stored."),
        ("search", {"query": "x", "tags": r'["\ud83d"]'}, "tags: must be text without lone surrogates."),
        ("list_memories", {"tags": r'["\ud83d"]'}, "tags: must be text without lone surrogates."),
        (
            "add_memory",
            {"content": "x", "metadata": {"tags": r'["\ud83d"]'}},
            "metadata: tags must not contain NUL",
        ),
        ("search", {"query": "x", "temporal_filter": "soon"}, "temporal_filter: must be one of today, yesterday"),
        ("search", {"query": "x", "limit": -1}, "limit: must be at least 1."),
        ("search", {"query": "x", "limit": 10**400}, "limit: must be at most 100."),
        ("search", {"query": "x", "limit": 1.5}, "limit: must be a whole number."),
        ("search", {"query": "x", "limit": True}, "limit: must be a whole number."),
        ("search", {"query": "x", "match_all_tags": "maybe"}, "match_all_tags: must be true or false."),
        ("search", {"query": "x", "metadata": {"n": {"$gte": 5}}}, "metadata.n: has an operator"),
        ("search", {"query": "x", "timezone": "Mars"}, "timezone: must be an IANA name"),
        ("search", {"query": "x", "created_after": "soon"}, "created_after: must be an ISO 8601 date or time"),
        ("search", {"query": "x", "metadata": "[1]"}, "metadata: must be a JSON object."),
        ("search", {"query": "x", "metadata": [{"a": 1}]}, "metadata: must be a JSON object."),
        ("search", {"query": ["x"]}, "query: must be text."),
        ("fetch", {"id": "nonsense"}, "id: give the whole id: mem_ and 32 characters."),
        ("fetch", {"id": "mem_0199"}, "id: give the whole id: mem_ and 32 characters."),
        ("fetch", {"id": f"mem_{'0' * 33}"}, "id: give the whole id: mem_ and 32 characters."),
        ("fetch", {"id": ""}, "id: give the whole id: mem_ and 32 characters."),
        ("fetch", {"id": 7}, "id: give the whole id: mem_ and 32 characters."),
        ("fetch", {"id": None}, "id: is required."),
        ("fetch", {"id": f"mem_{'0' * 32}"}, "There is no memory with this id."),
        ("delete_memory", {"id": f"mem_{'0' * 32}, mem_{'1' * 32}"}, "id: give one id at a time."),
        ("list_memories", {"limit": 1001}, "limit: must be at most 1000."),
        ("list_memories", {"offset": -1}, "offset: must be at least 0."),
        ("add_memory", {"content": " \n"}, "content: must not be blank."),
        (
            "add_memory",
            {"content": "x" * 10_001},
            "content: has 10,001 characters, and a memory or message holds at most 10,000: split it into several.",
        ),
        (
            "add_memory",
            {"content": "x", "people_mentioned": {"a": 1}},
            "people_mentioned: must be comma-separated text or a list",
        ),
        ("add_memory", {"content": "x", "metadata": "no object"}, "metadata: must be a JSON object."),
        ("add_memory", {"content": "x", "metadata": {"a": "b" * 20_000}}, "metadata: must be at most 16 KB."),
        ("add_memory", {"content": "x", "tags": ["t" * 200] * 100}, "metadata: must be at most 16 KB."),
        (
            "add_memory",
            {"content": "x", "created_at": "2999-01-01"},
            "created_at: must be a time between 1970 and now.",
        ),
        ("add_memory", {"content": "x", "tags": ["t"] * 101}, "tags: must have at most 100 items."),
        ("update_memory", {"id": f"mem_{'0' * 32}"}, "Give at least one of content, tags, people_mentioned,"),
    ],
)
@pytest.mark.parametrize("revision", [MODERN])
async def test_a_wrong_argument_is_named_in_one_sentence(
    mcp: Mcp, tool: str, arguments: dict[str, object], sentence: str
) -> None:
    refused = await mcp.refusal(tool, **arguments)
    assert refused.startswith(sentence)
    assert refused.endswith(".")
    assert (await mcp.call("list_memories"))["total"] == 0


@rows("written", ["NaN", "-Infinity", "1e999", '"\\ud800"', '"\\u0000"'])
async def test_unstorable_values_are_refused(mcp: Mcp, written: str) -> None:
    for arguments in ({"content": "x", "metadata": {"value": "THIS"}}, {"content": "THIS"}):
        answer = await mcp.send("tools/call", {"name": "add_memory", "arguments": arguments}, ('"THIS"', written))
        assert answer.status_code == 400 or answer.json()["result"]["isError"], answer.text
    assert (await mcp.call("list_memories"))["total"] == 0


async def test_an_unknown_tool_is_a_protocol_error(mcp: Mcp) -> None:
    answer = await mcp.send("tools/call", {"name": "forget_everything", "arguments": {}})
    assert answer.json()["error"]["code"] == -32602
    assert answer.json()["error"]["message"].startswith("Unknown tool: forget_everything. The tools are search, ")
    assert answer.status_code == (400 if mcp.revision == MODERN else 200)


async def test_malformed_json_is_a_protocol_error(client: httpx.AsyncClient, alice: Tenant, revision: str) -> None:
    headers = {**alice.auth, "Content-Type": "application/json", "Accept": "*/*", "MCP-Protocol-Version": revision}
    answer = await client.post("/mcp", content=b'{"jsonrpc": "2.0", ', headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32700)


@rows("body", [b"[]", b"7", b'{"jsonrpc": "2.0", "id": 1, "method": 3}', b'{"a":' * 5000])
async def test_any_body_gets_a_protocol_answer(
    client: httpx.AsyncClient, alice: Tenant, revision: str, body: bytes
) -> None:
    headers = {"Content-Type": "application/json", "Accept": "*/*", "MCP-Protocol-Version": revision}
    for credential in (alice.auth, alice.read_auth):
        answer = await client.post("/mcp", content=body, headers={**headers, **credential})
        assert answer.status_code in (200, 202, 400)


async def test_a_role_without_permission_is_a_tool_error(
    client: httpx.AsyncClient, database: Database, alice: Tenant, bob: Tenant
) -> None:
    """The credential may write but its user no longer may. No challenge: no other credential would help."""
    with database.write() as session:
        session.add(ProjectMember(project_id=alice.project_id, user_id=bob.user_id, role=ProjectRole.VIEWER))
        project = session.get_one(Project, alice.project_id)
        _, key = api_keys.issue(session, project, bob.user_id, NewKey("from when Bob was an editor", ["read", "write"]))
    viewer = Mcp(client, {"Authorization": f"Bearer {key}"}, MODERN)
    assert await viewer.found("tea") == []
    offered = [tool["name"] for tool in (await viewer.result("tools/list"))["tools"]]
    assert offered == ["search", "fetch", "list_memories", "context"]
    assert await viewer.refusal("add_memory", content="Tea at five.") == "A viewer may not write in this project."


class TestRateLimits:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        rates = {"rate_limit_memory_add": "2/hour", "rate_limit_memory_search": "1/hour"}
        return settings.model_copy(update={"rate_limit_enabled": True, **rates})

    async def test_the_rate_limit_is_shared_with_rest_and_says_when_to_retry(
        self, mcp: Mcp, client: httpx.AsyncClient, alice: Tenant
    ) -> None:
        body = {"messages": [{"role": "user", "content": "x"}]}
        assert (await client.post("/api/memories", json=body, headers=alice.auth)).status_code == 200
        await mcp.add("y")
        refused = await mcp.refusal("add_memory", content="z")
        assert refused.startswith("Too many requests: try again in ")
        assert refused.endswith(" minutes.")
        assert sorted(await mcp.found("x y z")) == ["x", "y"]
        assert (await mcp.refusal("search", query="x")).startswith("Too many requests")


async def test_r25_a_crash_is_logged_without_the_arguments(
    mcp: Mcp, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await mcp.add("a secret between us")
    with database.write() as session:
        session.execute(sa.text("""UPDATE memories SET metadata = '{"broken'"""))
    answer = await mcp.send("tools/call", {"name": "search", "arguments": {"query": "a secret question"}})
    (content,) = answer.json()["result"]["content"]
    assert (
        content["text"]
        == f"Something went wrong. If you report this, include the request id {answer.headers['x-request-id']}."
    )
    assert [record.name for record in caplog.records if record.levelno >= logging.ERROR] == ["tools.errors"]
    assert "secret" not in caplog.text


async def test_arguments_are_never_logged(mcp: Mcp, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("server", "rest", "tools", "oauth"):
        caplog.set_level(logging.DEBUG, name)
    memory_id = await mcp.add("a secret between us", tags="secret", metadata={"secret": "secret"})
    await mcp.found("what secret?", people_mentioned="secret")
    await mcp.call("update_memory", id=memory_id, content="another secret")
    await mcp.refusal("search", query=["secret"])
    await mcp.refusal("fetch", id="secret")
    await mcp.send("tools/call", {"name": "secret", "arguments": {"secret": "secret"}})
    assert "request" in caplog.messages
    assert "secret" not in caplog.text
