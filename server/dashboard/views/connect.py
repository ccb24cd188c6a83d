"""Instructions for connecting an assistant: for each client, the exact text to paste."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from starlette.responses import Response

from server.dashboard.pages import PageRequest
from server.settings import Settings
from server.urls import is_loopback, is_private

SERVER_NAME = "selfmemory"
KEY_PLACEHOLDER = "YOUR_API_KEY"


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction, with the snippet to paste into `target` if there is one. `link` opens the client itself."""

    instruction: str
    snippet: str | None = None
    target: str | None = None
    link: str | None = None
    link_name: str | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """A client with its instructions.

    `vendor` is set if the client connects from its vendor's servers, so that it needs a public https address.
    """

    id: str
    name: str
    steps: Sequence[Step]
    vendor: str | None = None
    needs_key: bool = False


async def show(request: PageRequest) -> Response:
    """Show the client that the address names, else the first one that can reach this server."""
    settings = request.call.runtime.settings
    all_clients = clients(settings)
    client_id = request.http.query_params.get("client", "")
    is_local = is_loopback(settings.public_url) or is_private(settings.public_url)
    reachable = [client for client in all_clients if not (is_local and client.vendor)]
    chosen = next((client for client in all_clients if client.id == client_id), reachable[0])
    return await request.render(
        "connect.html",
        request.project_id,
        clients=all_clients,
        chosen=chosen,
        is_unreachable=chosen not in reachable,
        reached_from="this computer" if is_loopback(settings.public_url) else "your network",
    )


def clients(settings: Settings) -> list[Client]:
    """Return the clients, the most common ones first."""
    url = settings.resource
    return [
        _claude(url),
        _claude_code(url),
        _chatgpt(url),
        _cursor(url),
        _vscode(url),
        _any_client(url),
        _rest(settings.public_url),
    ]


_SIGN_IN = Step("Sign in when your browser opens, choose a project and allow access.")


def _claude(url: str) -> Client:
    steps = (
        Step(
            "In Claude on the web or desktop, open Customize, then Connectors (in older versions: Settings, then "
            "Connectors). Select “+”, then “Add custom connector”."
        ),
        Step(
            "Name it SelfMemory and paste this URL. Leave the advanced settings empty.",
            url,
            "Remote MCP server URL",
        ),
        Step("Select “Connect”. Sign in, choose a project and allow access. It works in the mobile app too."),
    )
    return Client("claude", "Claude", steps, vendor="Anthropic")


def _claude_code(url: str) -> Client:
    command = f"claude mcp add --transport http --scope user {SERVER_NAME} {url}"
    steps = (
        Step("Run this in a terminal.", command, "Terminal"),
        Step("Start Claude Code, enter /mcp and select “Authenticate”.", "/mcp", "Claude Code"),
        _SIGN_IN,
        Step(
            "Without a browser, for example on a server, use an API key instead.",
            f'{command} --header "Authorization: Bearer {KEY_PLACEHOLDER}"',
            "Terminal",
        ),
    )
    return Client("claude-code", "Claude Code", steps)


def _chatgpt(url: str) -> Client:
    steps = (
        Step(
            "In ChatGPT on the web, open Settings, then Apps (in older versions: Connectors), then Advanced settings, "
            "and turn on Developer mode. In a company workspace, an admin must allow it first."
        ),
        Step("Select “Create app”, name it SelfMemory, paste this URL and choose OAuth.", url, "MCP Server URL"),
        Step("Select “Create”. Sign in, choose a project and allow access."),
        Step("In a chat, select “+”, then Developer mode, and turn on SelfMemory."),
    )
    return Client("chatgpt", "ChatGPT", steps, vendor="OpenAI")


def _cursor(url: str) -> Client:
    config = base64.b64encode(_json({"url": url}, indent=None).encode()).decode()
    link = f"cursor://anysphere.cursor-deeplink/mcp/install?name={SERVER_NAME}&config={quote(config)}"
    steps = (
        Step("Install the server in Cursor.", link=link, link_name="Add to Cursor"),
        Step(
            "Or add it to the configuration file yourself.",
            _json({"mcpServers": {SERVER_NAME: {"url": url}}}),
            "~/.cursor/mcp.json",
        ),
        Step(
            "In Cursor, open Customize, then MCPs (in older versions: Settings, then MCP), and connect selfmemory. "
            "Sign in, choose a project and allow access."
        ),
    )
    return Client("cursor", "Cursor", steps)


def _vscode(url: str) -> Client:
    server = {"type": "http", "url": url}
    link = "vscode:mcp/install?" + quote(_json({"name": SERVER_NAME, **server}, indent=None))
    steps = (
        Step("Install the server in VS Code.", link=link, link_name="Add to VS Code"),
        Step(
            "Or add it to the configuration file yourself.",
            _json({"servers": {SERVER_NAME: server}}),
            ".vscode/mcp.json",
        ),
        Step(
            "Run “MCP: List Servers” from the Command Palette and start selfmemory. Sign in, choose a project and "
            "allow access."
        ),
    )
    return Client("vscode", "VS Code", steps)


def _any_client(url: str) -> Client:
    with_key = {"type": "http", "url": url, "headers": {"Authorization": f"Bearer {KEY_PLACEHOLDER}"}}
    steps = (
        Step(
            "Clients that can sign in need only the URL.",
            _json({"mcpServers": {SERVER_NAME: {"type": "http", "url": url}}}),
            "JSON",
        ),
        Step("Other clients send an API key.", _json({"mcpServers": {SERVER_NAME: with_key}}), "JSON with an API key"),
    )
    return Client("other", "Other clients", steps, needs_key=True)


def _rest(public_url: str) -> Client:
    add_command = (
        f"curl {public_url}/api/memories \\\n"
        f'  -H "Authorization: Bearer {KEY_PLACEHOLDER}" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        """  -d '{"messages": [{"role": "user", "content": "Anna prefers the window seat."}]}'"""
    )
    search_command = (
        f"curl {public_url}/api/memories/search \\\n"
        f'  -H "Authorization: Bearer {KEY_PLACEHOLDER}" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        """  -d '{"query": "Where does Anna like to sit?"}'"""
    )
    steps = (
        Step("Add a memory.", add_command, "Terminal"),
        Step("Search for it.", search_command, "Terminal"),
        Step(
            "See the API reference for all routes.",
            link=f"{public_url}/docs",
            link_name="Open API reference",
        ),
    )
    return Client("rest", "REST", steps, needs_key=True)


def _json(value: Mapping[str, object], indent: int | None = 2) -> str:
    return json.dumps(value, indent=indent)
