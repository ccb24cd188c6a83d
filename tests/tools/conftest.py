"""Callers of /mcp. Every test that takes `mcp` runs with both protocol revisions."""

import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.conftest import Tenant

LEGACY, MODERN = "2025-11-25", "2026-07-28"
ACCEPT = {"Accept": "application/json, text/event-stream"}


@dataclass(frozen=True)
class Mcp:
    """A stateless client with one credential and one protocol revision."""

    client: httpx.AsyncClient
    headers: dict[str, str]
    revision: str

    async def send(self, method: str, params: dict[str, Any], *changes: tuple[str, str]) -> httpx.Response:
        """Send a JSON-RPC request. `changes` replace parts of its text, to send what `json.dumps` cannot write."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        headers = {**ACCEPT, **self.headers, "Content-Type": "application/json", "MCP-Protocol-Version": self.revision}
        if self.revision == MODERN:
            body["params"] = {**params, "_meta": envelope()}
            headers |= {"Mcp-Method": method, "Mcp-Name": str(params.get("name", ""))}
        text = json.dumps(body)
        for old, new in changes:
            text = text.replace(old, new)
        return await self.client.post("/mcp", content=text, headers=headers)

    async def result(self, method: str, **params: object) -> dict[str, Any]:
        answer = await self.send(method, params)
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()["result"]
        return result

    async def call(self, tool: str, **arguments: object) -> dict[str, Any]:
        """Call a tool, which must succeed, and return the structured content."""
        result = await self.result("tools/call", name=tool, arguments=arguments)
        assert not result["isError"], result
        structured: dict[str, Any] = result["structuredContent"]
        return structured

    async def add(self, content: str, **more: object) -> str:
        return str((await self.call("add_memory", content=content, **more))["memory_id"])

    async def found(self, query: str = "", **filters: object) -> list[str]:
        return [result["text"] for result in (await self.call("search", query=query, **filters))["results"]]

    async def refusal(self, tool: str, **arguments: object) -> str:
        """Call a tool, which must fail, and return the sentence for the model."""
        result = await self.result("tools/call", name=tool, arguments=arguments)
        assert result["isError"], result
        assert "structuredContent" not in result
        (content,) = result["content"]
        return str(content["text"])


def envelope() -> dict[str, object]:
    """Return the client information that each request of the stateless revision carries."""
    prefix = "io.modelcontextprotocol"
    return {
        f"{prefix}/protocolVersion": MODERN,
        f"{prefix}/clientCapabilities": {},
        f"{prefix}/clientInfo": {"name": "tests", "version": "1"},
    }


@pytest.fixture(params=[LEGACY, MODERN])
def revision(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def mcp(client: httpx.AsyncClient, alice: Tenant, revision: str) -> Mcp:
    """Alice's key that may read and write."""
    return Mcp(client, alice.auth, revision)


@pytest.fixture
def reader(client: httpx.AsyncClient, alice: Tenant, revision: str) -> Mcp:
    """Alice's key that may only read."""
    return Mcp(client, alice.read_auth, revision)


@pytest.fixture
def stranger(client: httpx.AsyncClient, bob: Tenant, revision: str) -> Mcp:
    """Bob's key, to a project of his own."""
    return Mcp(client, bob.auth, revision)
