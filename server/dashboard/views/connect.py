"""Connect an assistant: for each client the exact text to paste, for this server and no other."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from starlette.responses import Response

from server.dashboard.pages import PageRequest
from server.settings import Settings, is_loopback

NAME = "selfmemory"
KEY = "YOUR_API_KEY"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do, with the text to paste when there is one; `link` opens the client itself."""

    say: str
    paste: str | None = None
    into: str | None = None
    link: str | None = None
    link_name: str | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """`is_hosted`: it runs at its vendor's, so this server must be reachable from the internet over https."""

    id: str
    name: str
    steps: Sequence[Step]
    is_hosted: bool = False
    needs_key: bool = False


async def show(visit: PageRequest) -> Response:
    """One client at a time, chosen in the address."""
    settings = visit.call.runtime.settings
    offered = clients(settings)
    wanted = visit.request.query_params.get("client", "")
    chosen = next((client for client in offered if client.id == wanted), offered[0])
    return await visit.page(
        "connect.html",
        visit.path("project_id"),
        clients=offered,
        chosen=chosen,
        is_unreachable=chosen.is_hosted and is_loopback(settings.public_url),
    )


def clients(settings: Settings) -> list[Client]:
    """In the order in which people ask for them."""
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


_SIGN_IN = Step("Sign in when your browser opens, choose the project and allow access.")


def _claude(url: str) -> Client:
    steps = (
        Step(
            "In Claude, on the web or in the desktop app, open Customize, then Connectors (before: Settings, "
            "Connectors). Choose “+”, then “Add custom connector”."
        ),
        Step(
            "Name it SelfMemory and paste this address. Leave the advanced settings empty.",
            url,
            "Remote MCP server URL",
        ),
        Step("Choose “Connect”. Sign in, choose the project and allow access. Your phone has it from then on, too."),
    )
    return Client("claude", "Claude", steps, is_hosted=True)


def _claude_code(url: str) -> Client:
    steps = (
        Step("Run this in a terminal.", f"claude mcp add --transport http --scope user {NAME} {url}", "Terminal"),
        Step("Start Claude Code, type /mcp and choose “Authenticate”.", "/mcp", "Claude Code"),
        _SIGN_IN,
        Step(
            "Without a browser, on a server for instance: use an API key instead.",
            f'claude mcp add --transport http --scope user {NAME} {url} --header "Authorization: Bearer {KEY}"',
            "Terminal",
        ),
    )
    return Client("claude-code", "Claude Code", steps)


def _chatgpt(url: str) -> Client:
    steps = (
        Step(
            "In ChatGPT on the web open Settings, Apps (before: Connectors), Advanced settings: turn on Developer "
            "mode; in a company’s workspace an admin has to allow it first."
        ),
        Step("Choose “Create app”, name it SelfMemory, paste this address and choose OAuth.", url, "MCP Server URL"),
        Step("Choose “Create”. Sign in, choose the project and allow access."),
        Step("In a chat choose “+”, then Developer mode, and switch SelfMemory on."),
    )
    return Client("chatgpt", "ChatGPT", steps, is_hosted=True)


def _cursor(url: str) -> Client:
    config = base64.b64encode(_json({"url": url}, indent=None).encode()).decode()
    link = f"cursor://anysphere.cursor-deeplink/mcp/install?name={NAME}&config={quote(config)}"
    steps = (
        Step("Let Cursor install it.", link=link, link_name="Add to Cursor"),
        Step("Or put this into the file yourself.", _json({"mcpServers": {NAME: {"url": url}}}), "~/.cursor/mcp.json"),
        Step(
            "In Cursor open Customize, then MCPs (before: Settings, MCP), and connect selfmemory. Sign in, choose the "
            "project and allow access."
        ),
    )
    return Client("cursor", "Cursor", steps)


def _vscode(url: str) -> Client:
    server = {"type": "http", "url": url}
    link = "vscode:mcp/install?" + quote(_json({"name": NAME, **server}, indent=None))
    steps = (
        Step("Let VS Code install it.", link=link, link_name="Add to VS Code"),
        Step("Or put this into the file yourself.", _json({"servers": {NAME: server}}), ".vscode/mcp.json"),
        Step(
            "Run “MCP: List Servers” from the Command Palette and start selfmemory. Sign in, choose the project and "
            "allow access."
        ),
    )
    return Client("vscode", "VS Code", steps)


def _any_client(url: str) -> Client:
    with_key = {"type": "http", "url": url, "headers": {"Authorization": f"Bearer {KEY}"}}
    steps = (
        Step(
            "Clients that can sign in need the address alone.",
            _json({"mcpServers": {NAME: {"type": "http", "url": url}}}),
            "JSON",
        ),
        Step("Others send an API key.", _json({"mcpServers": {NAME: with_key}}), "JSON, with a key"),
    )
    return Client("other", "Other clients", steps, needs_key=True)


def _rest(public_url: str) -> Client:
    add = (
        f"curl {public_url}/api/memories \\\n"
        f'  -H "Authorization: Bearer {KEY}" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        """  -d '{"messages": [{"role": "user", "content": "Anna prefers the window seat."}]}'"""
    )
    find = (
        f"curl {public_url}/api/memories/search \\\n"
        f'  -H "Authorization: Bearer {KEY}" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        """  -d '{"query": "Where does Anna like to sit?"}'"""
    )
    steps = (
        Step("Remember something.", add, "Terminal"),
        Step("Find it again.", find, "Terminal"),
        Step(
            "Every route is described at /docs on this server.",
            link=f"{public_url}/docs",
            link_name="Open the reference",
        ),
    )
    return Client("rest", "REST", steps, needs_key=True)


def _json(value: Mapping[str, object], indent: int | None = 2) -> str:
    return json.dumps(value, indent=indent)
