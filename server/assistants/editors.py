"""Editors with an assistant. Each lists its servers in a file; some can add a server through a link."""

from collections.abc import Mapping
from urllib.parse import quote

from server.assistants import start
from server.assistants.instructions import (
    SERVER_NAME,
    Assistant,
    ConfigFile,
    Entry,
    Step,
    Target,
    as_json,
    encoded,
    install_step,
    same_path,
)


def cursor(target: Target) -> Assistant:
    config = _file(same_path("~/.cursor/mcp.json"), {"url": target.url}, target)
    link = f"cursor://anysphere.cursor-deeplink/mcp/install?name={SERVER_NAME}&config="
    return Assistant(
        "cursor",
        "Cursor",
        sign_in=(
            install_step("Cursor", link + encoded({"url": target.url})),
            *_by_hand(config, "Or add it to the configuration file yourself."),
            Step(
                "In Cursor, open Customize, then MCPs (in older versions: Settings, then MCP), and connect selfmemory. "
                "Sign in, choose a project and allow access."
            ),
        ),
        with_key=_with_key(config),
        config=config,
        guide="https://cursor.com/docs/context/mcp",
        start=start.rule(),
    )


def vscode(target: Target) -> Assistant:
    entry = {"type": "http", "url": target.url}
    paths = {
        "linux": "~/.config/Code/User/mcp.json",
        "darwin": "~/Library/Application Support/Code/User/mcp.json",
        "win32": "%APPDATA%/Code/User/mcp.json",
    }
    config = _file(paths, entry, target, "servers")
    link = "vscode:mcp/install?" + quote(as_json({"name": SERVER_NAME, **entry}, indent=None))
    return Assistant(
        "vscode",
        "VS Code",
        sign_in=(
            install_step("VS Code", link),
            Step(
                "Or run “MCP: Open User Configuration” from the Command Palette and add this.",
                config.snippet(with_key=False),
                "mcp.json",
            ),
            Step(
                "Run “MCP: List Servers” from the Command Palette and start selfmemory. Sign in, choose a project and "
                "allow access."
            ),
        ),
        with_key=(
            Step(
                "Run “MCP: Open User Configuration” from the Command Palette and add this.",
                config.snippet(with_key=True),
                "mcp.json",
            ),
        ),
        config=config,
        guide="https://code.visualstudio.com/docs/agents/reference/mcp-configuration",
    )


def zed(target: Target) -> Assistant:
    paths = same_path("~/.config/zed/settings.json") | {"win32": "%APPDATA%/Zed/settings.json"}
    config = _file(paths, {"url": target.url}, target, "context_servers")
    return Assistant(
        "zed",
        "Zed",
        sign_in=(
            *_by_hand(config, "Run “zed: open settings file” from the command palette and add this."),
            Step("Open Settings, then AI, then MCP Servers, and sign in. Choose a project and allow access."),
        ),
        with_key=_with_key(config, "Run “zed: open settings file” from the command palette and add this."),
        config=config,
        guide="https://zed.dev/docs/ai/mcp",
    )


def windsurf(target: Target) -> Assistant:
    config = _file(same_path("~/.codeium/windsurf/mcp_config.json"), {"serverUrl": target.url}, target)
    return Assistant(
        "windsurf",
        "Windsurf",
        sign_in=(
            *_by_hand(config, "Add this to the configuration file."),
            Step("In Cascade, refresh the MCP servers. Sign in, choose a project and allow access."),
        ),
        with_key=_with_key(config),
        config=config,
        guide="https://docs.windsurf.com/windsurf/cascade/mcp",
    )


def cline(target: Target) -> Assistant:
    entry = {"type": "streamableHttp", "url": target.url}
    config = _file(same_path("~/.cline/data/settings/cline_mcp_settings.json"), entry, target)
    where = "In Cline, select the MCP Servers icon, then Configure, then “Configure MCP Servers”, and add this."
    return Assistant(
        "cline",
        "Cline",
        sign_in=(
            *_by_hand(config, where),
            Step("Select “Authenticate” next to selfmemory. Sign in, choose a project and allow access."),
        ),
        with_key=_with_key(config, where),
        config=config,
        guide="https://docs.cline.bot/mcp/mcp-overview",
    )


def _file(paths: Mapping[str, str], entry: Entry, target: Target, key: str = "mcpServers") -> ConfigFile:
    return ConfigFile("json", paths, (key, SERVER_NAME), {**entry, "headers": target.headers}, entry)


def _by_hand(config: ConfigFile, instruction: str) -> tuple[Step]:
    return (Step(instruction, config.snippet(with_key=False), config.shown_path),)


def _with_key(config: ConfigFile, instruction: str = "Add this to the configuration file.") -> tuple[Step]:
    return (Step(instruction, config.snippet(with_key=True), config.shown_path),)
