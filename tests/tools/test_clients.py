"""The published Python client against a real socket, beside a REST client."""

import socket

import httpx
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from starlette.types import ASGIApp

from tests.conftest import Tenant
from tests.support.served import listener, served, settings

__all__ = ["listener", "settings"]


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
@pytest.mark.parametrize("mode", ["auto", "legacy", "2026-07-28"])
async def test_one_memory_is_the_same_through_both_doors(
    app: ASGIApp, alice: Tenant, listener: socket.socket, mode: str, path: str
) -> None:
    async with (
        served(app, listener) as url,
        httpx.AsyncClient(base_url=url, headers=alice.auth) as rest,
        create_mcp_http_client(headers=alice.auth) as transport,
        Client(streamable_http_client(f"{url}{path}", http_client=transport), mode=mode) as client,
    ):
        body = {"messages": [{"role": "user", "content": "Anna is allergic to walnuts."}]}
        memory_id = (await rest.post("/api/memories", json=body)).json()["memory_id"]
        assert {tool.name for tool in (await client.list_tools()).tools} >= {"search", "fetch", "add_memory"}

        found = await client.call_tool("search", {"query": "walnuts"})
        assert found.structured_content is not None
        assert [result["id"] for result in found.structured_content["results"]] == [memory_id]

        await client.call_tool("update_memory", {"id": memory_id, "content": "Anna is allergic to peanuts."})
        assert (await rest.get(f"/api/memories/{memory_id}")).json()["content"] == "Anna is allergic to peanuts."

        await client.call_tool("delete_memory", {"id": memory_id})
        assert (await rest.get(f"/api/memories/{memory_id}")).status_code == 404
        assert (await client.call_tool("fetch", {"id": memory_id})).is_error
