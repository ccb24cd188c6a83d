"""Use the MCP tools as an assistant does: add, search, and delete a memory, with an API key.

SELFMEMORY_URL=http://127.0.0.1:8081 SELFMEMORY_KEY=sk_im_… python examples/mcp_with_python_sdk.py
"""

import asyncio
import os
from typing import Any

import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

TEXT = "Ben is allergic to walnuts. He carries an injector in his backpack."


async def call(client: Client, tool: str, **arguments: object) -> dict[str, Any]:
    """Call a tool and return its structured result. Raises RuntimeError with the server's sentence."""
    result = await client.call_tool(tool, arguments)
    if result.is_error:
        raise RuntimeError(" ".join(getattr(part, "text", "") for part in result.content))
    content: dict[str, Any] = result.structured_content
    return content


async def main() -> None:
    headers = {"Authorization": f"Bearer {os.environ['SELFMEMORY_KEY']}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(streamable_http_client(f"{os.environ['SELFMEMORY_URL']}/mcp", http_client=http)) as client,
    ):
        tools = (await client.list_tools()).tools
        print("Tools: " + ", ".join(tool.name for tool in tools))

        added = await call(client, "add_memory", content=TEXT, tags="health", people_mentioned="Ben")
        print(f"Added {added['memory_id']}")

        found = await call(client, "search", query="What must Ben not eat?", limit=3)
        for match in found["results"]:
            print(f"Found {match['score']:.2f}  {match['text']}")

        print((await call(client, "delete_memory", id=added["memory_id"]))["message"])


if __name__ == "__main__":
    asyncio.run(main())
