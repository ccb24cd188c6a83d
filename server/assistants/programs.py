"""Setup instructions for any other MCP client, and for Python and REST programs."""

from server.assistants.instructions import SERVER_NAME, Assistant, Step, Target, written


def any_client(target: Target) -> Assistant:
    entry = {"type": "http", "url": target.url}
    keys = ("mcpServers", SERVER_NAME)
    return Assistant(
        "other",
        "Other clients",
        sign_in=(
            Step("Clients that can sign in need only the URL.", target.url, "URL"),
            Step("Many read it from a file like this.", written("json", keys, entry), "JSON"),
        ),
        with_key=(
            Step("Other clients send an API key.", written("json", keys, {**entry, "headers": target.headers}), "JSON"),
        ),
    )


def python(target: Target) -> Assistant:
    lines = (
        "import asyncio",
        "",
        "import httpx2",
        "from mcp import Client",
        "from mcp.client.streamable_http import streamable_http_client",
        "",
        "",
        "async def main():",
        f'    headers = {{"Authorization": "{target.bearer}"}}',
        "    async with httpx2.AsyncClient(headers=headers) as http:",
        f'        async with Client(streamable_http_client("{target.url}", http_client=http)) as client:',
        '            print(await client.call_tool("search", {"query": "Where does Anna like to sit?"}))',
        "",
        "",
        "asyncio.run(main())",
    )
    return Assistant(
        "python",
        "Python",
        with_key=(
            Step("Install the MCP SDK.", 'pip install "mcp>=2"', "Terminal"),
            Step("Call a tool.", "\n".join(lines), "Python"),
        ),
        guide="https://github.com/modelcontextprotocol/python-sdk",
    )


def rest(target: Target) -> Assistant:
    def curl(path: str, body: str) -> str:
        return (
            f"curl {target.public_url}{path} \\\n"
            f'  -H "Authorization: {target.bearer}" \\\n'
            '  -H "Content-Type: application/json" \\\n'
            f"  -d '{body}'"
        )

    return Assistant(
        "rest",
        "REST",
        with_key=(
            Step("Add a memory.", curl("/api/memories", '{"content": "Anna prefers the window seat."}'), "Terminal"),
            Step(
                "Search for it.",
                curl("/api/memories/search", '{"query": "Where does Anna like to sit?"}'),
                "Terminal",
            ),
            Step(
                "See the API reference for all routes.",
                link=f"{target.public_url}/docs",
                link_name="Open API reference",
            ),
        ),
    )
