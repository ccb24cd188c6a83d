"""Desktop applications, and chat servers that people host themselves."""

from urllib.parse import quote, urlencode, urlsplit

from server.assistants.instructions import (
    SERVER_NAME,
    Assistant,
    ConfigFile,
    Step,
    Target,
    encoded,
    install_step,
    same_path,
)
from server.urls import is_loopback


def claude_desktop(target: Target) -> Assistant:
    """Claude Desktop starts only local programs. `mcp-remote` is one, and forwards everything to this server."""
    args = ["-y", "mcp-remote", target.url]
    if urlsplit(target.url).scheme == "http" and not is_loopback(target.url):
        args.append("--allow-http")
    # Arguments must not contain a space: npx on Windows splits them there.
    with_key = {
        "command": "npx",
        "args": [*args, "--header", "Authorization:${AUTHORIZATION}"],
        "env": {"AUTHORIZATION": target.bearer},
    }
    paths = {
        "linux": "~/.config/Claude/claude_desktop_config.json",
        "darwin": "~/Library/Application Support/Claude/claude_desktop_config.json",
        "win32": "%APPDATA%/Claude/claude_desktop_config.json",
    }
    config = ConfigFile("json", paths, ("mcpServers", SERVER_NAME), with_key, {"command": "npx", "args": args})
    where = "In Claude Desktop, open Settings, then Developer, then “Edit Config”, and add this. It needs Node.js."
    name = "claude_desktop_config.json"
    return Assistant(
        "claude-desktop",
        "Claude Desktop",
        sign_in=(
            Step(where, config.snippet(with_key=False), name),
            Step("Restart Claude Desktop. Sign in when your browser opens, choose a project and allow access."),
        ),
        with_key=(
            Step(where, config.snippet(with_key=True), name),
            Step("Restart Claude Desktop."),
        ),
        config=config,
        guide="https://github.com/geelen/mcp-remote",
    )


def goose(target: Target) -> Assistant:
    entry = {
        "enabled": True,
        "type": "streamable_http",
        "name": SERVER_NAME,
        "description": "Long-term memory",
        "uri": target.url,
        "timeout": 300,
    }
    paths = same_path("~/.config/goose/config.yaml") | {"win32": "%APPDATA%/Block/goose/config/config.yaml"}
    config = ConfigFile("yaml", paths, ("extensions", SERVER_NAME), {**entry, "headers": target.headers}, entry)
    query = {
        "url": target.url,
        "type": "streamable_http",
        "id": SERVER_NAME,
        "name": "SelfMemory",
        "description": entry["description"],
    }
    return Assistant(
        "goose",
        "Goose",
        sign_in=(
            install_step("Goose", f"goose://extension?{urlencode(query, quote_via=quote)}"),
            Step("Or add it to the configuration file yourself.", config.snippet(with_key=False), config.shown_path),
            Step("Sign in when your browser opens, choose a project and allow access."),
        ),
        with_key=(Step("Add this to the configuration file.", config.snippet(with_key=True), config.shown_path),),
        config=config,
        guide="https://goose-docs.ai/docs/getting-started/using-extensions",
    )


def lm_studio(target: Target) -> Assistant:
    entry = {"url": target.url, "headers": target.headers}
    config = ConfigFile("json", same_path("~/.lmstudio/mcp.json"), ("mcpServers", SERVER_NAME), entry)
    link = f"lmstudio://add_mcp?name={SERVER_NAME}&config={encoded(entry)}"
    return Assistant(
        "lm-studio",
        "LM Studio",
        with_key=(
            *([install_step("LM Studio", link)] if target.has_key else []),
            Step(
                f"{'Or open' if target.has_key else 'Open'} Program, then Install, then “Edit mcp.json”, and add this.",
                config.snippet(with_key=True),
                "mcp.json",
            ),
        ),
        config=config,
        guide="https://lmstudio.ai/docs/app/mcp",
        links_with_key=True,
    )


def librechat(target: Target) -> Assistant:
    entry = {"type": "streamable-http", "url": target.url}
    config = ConfigFile(
        "yaml",
        same_path("librechat.yaml"),
        ("mcpServers", SERVER_NAME),
        {**entry, "headers": target.headers},
        {**entry, "requiresOAuth": True},
    )
    return Assistant(
        "librechat",
        "LibreChat",
        sign_in=(
            Step("Add this to librechat.yaml.", config.snippet(with_key=False), "librechat.yaml"),
            Step("Restart LibreChat. Each person signs in when they first select selfmemory in a chat."),
        ),
        with_key=(
            Step("Add this to librechat.yaml.", config.snippet(with_key=True), "librechat.yaml"),
            Step("Restart LibreChat."),
        ),
        config=config,
        guide="https://www.librechat.ai/docs/configuration/librechat_yaml/object_structure/mcp_servers",
        note=_from_a_container(target),
    )


def open_webui(target: Target) -> Assistant:
    add = "In Open WebUI, open Admin Settings, then External Tools, and select “+”."
    kind = "Set Type to “MCP (Streamable HTTP)” and paste this URL."
    return Assistant(
        "open-webui",
        "Open WebUI",
        sign_in=(
            Step(add),
            Step(kind, target.url, "URL"),
            Step("Set Auth to “OAuth 2.1” and save. Each person signs in when they turn the tool on in a chat."),
        ),
        with_key=(
            Step(add),
            Step(kind, target.url, "URL"),
            Step("Set Auth to “Bearer”, paste the API key and save.", target.key, "API key"),
        ),
        guide="https://docs.openwebui.com/features/mcp",
        note=_from_a_container(target),
    )


def _from_a_container(target: Target) -> str:
    if not is_loopback(target.public_url):
        return ""
    return (
        "If it runs in a container, write host.docker.internal instead of localhost, and start this server with "
        "SELFMEMORY_HOST=0.0.0.0."
    )
