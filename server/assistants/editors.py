"""Editors with an assistant. Each lists its servers in a file; some can add a server through a link."""

from urllib.parse import quote

from server.assistants import start
from server.assistants.instructions import (
    ADD_TO_FILE,
    SERVER_NAME,
    Assistant,
    ConfigFile,
    Step,
    Target,
    as_json,
    encoded,
    install_step,
)


def cursor(target: Target) -> Assistant:
    entry = {"url": target.url}
    config = ConfigFile("~/.cursor/mcp.json", entry, target.with_headers(entry))
    link = f"cursor://anysphere.cursor-deeplink/mcp/install?name={SERVER_NAME}&config="
    return Assistant(
        "cursor",
        "Cursor",
        sign_in=(
            install_step("Cursor", link + encoded(entry)),
            config.step("Or add it to the configuration file yourself.", with_key=False),
            Step(
                "In Cursor, open Customize, then MCPs (in older versions: Settings, then MCP), and connect selfmemory. "
                "Sign in, choose a project and allow access."
            ),
        ),
        with_key=(config.step(ADD_TO_FILE, with_key=True),),
        config=config,
        guide="https://cursor.com/docs/context/mcp",
        start=start.CURSOR_RULE,
    )


def vscode(target: Target) -> Assistant:
    entry = {"type": "http", "url": target.url}
    elsewhere = {
        "darwin": "~/Library/Application Support/Code/User/mcp.json",
        "win32": "%APPDATA%/Code/User/mcp.json",
    }
    config = ConfigFile(
        "~/.config/Code/User/mcp.json", entry, target.with_headers(entry), key="servers", elsewhere=elsewhere
    )
    link = "vscode:mcp/install?" + quote(as_json({"name": SERVER_NAME, **entry}, indent=None))
    where = "“MCP: Open User Configuration” from the Command Palette and add this."
    return Assistant(
        "vscode",
        "VS Code",
        sign_in=(
            install_step("VS Code", link),
            config.step(f"Or run {where}", with_key=False, target="mcp.json"),
            Step(
                "Run “MCP: List Servers” from the Command Palette and start selfmemory. Sign in, choose a project and "
                "allow access."
            ),
        ),
        with_key=(config.step(f"Run {where}", with_key=True, target="mcp.json"),),
        config=config,
        guide="https://code.visualstudio.com/docs/agents/reference/mcp-configuration",
    )


def zed(target: Target) -> Assistant:
    entry = {"url": target.url}
    elsewhere = {"win32": "%APPDATA%/Zed/settings.json"}
    config = ConfigFile(
        "~/.config/zed/settings.json", entry, target.with_headers(entry), key="context_servers", elsewhere=elsewhere
    )
    where = "Run “zed: open settings file” from the command palette and add this."
    return Assistant(
        "zed",
        "Zed",
        sign_in=(
            config.step(where, with_key=False),
            Step("Open Settings, then AI, then MCP Servers, and sign in. Choose a project and allow access."),
        ),
        with_key=(config.step(where, with_key=True),),
        config=config,
        guide="https://zed.dev/docs/ai/mcp",
    )


def windsurf(target: Target) -> Assistant:
    entry = {"serverUrl": target.url}
    config = ConfigFile("~/.codeium/windsurf/mcp_config.json", entry, target.with_headers(entry))
    return Assistant(
        "windsurf",
        "Windsurf",
        sign_in=(
            config.step(ADD_TO_FILE, with_key=False),
            Step("In Cascade, refresh the MCP servers. Sign in, choose a project and allow access."),
        ),
        with_key=(config.step(ADD_TO_FILE, with_key=True),),
        config=config,
        guide="https://docs.windsurf.com/windsurf/cascade/mcp",
    )


def cline(target: Target) -> Assistant:
    entry = {"type": "streamableHttp", "url": target.url}
    config = ConfigFile("~/.cline/data/settings/cline_mcp_settings.json", entry, target.with_headers(entry))
    where = "In Cline, select the MCP Servers icon, then Configure, then “Configure MCP Servers”, and add this."
    return Assistant(
        "cline",
        "Cline",
        sign_in=(
            config.step(where, with_key=False),
            Step("Select “Authenticate” next to selfmemory. Sign in, choose a project and allow access."),
        ),
        with_key=(config.step(where, with_key=True),),
        config=config,
        guide="https://docs.cline.bot/mcp/mcp-overview",
    )
