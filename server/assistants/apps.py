"""Desktop applications, and chat servers that people host themselves."""

from urllib.parse import quote, urlencode, urlsplit

from server.assistants.instructions import (
    ADD_TO_FILE,
    SERVER_NAME,
    Assistant,
    ConfigFile,
    Step,
    Target,
    encoded,
    install_step,
)
from server.network.urls import is_loopback


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
    name = "claude_desktop_config.json"
    elsewhere = {
        "darwin": f"~/Library/Application Support/Claude/{name}",
        "win32": f"%APPDATA%/Claude/{name}",
    }
    sign_in = {"command": "npx", "args": args}
    config = ConfigFile(f"~/.config/Claude/{name}", sign_in, with_key, elsewhere=elsewhere)
    where = "In Claude Desktop, open Settings, then Developer, then “Edit Config”, and add this. It needs Node.js."
    return Assistant(
        "claude-desktop",
        "Claude Desktop",
        sign_in=(
            config.step(where, with_key=False, target=name),
            Step("Restart Claude Desktop. Sign in when your browser opens, choose a project and allow access."),
        ),
        with_key=(
            config.step(where, with_key=True, target=name),
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
    config = ConfigFile(
        "~/.config/goose/config.yaml",
        entry,
        target.with_headers(entry),
        format="yaml",
        key="extensions",
        elsewhere={"win32": "%APPDATA%/Block/goose/config/config.yaml"},
    )
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
            config.step("Or add it to the configuration file yourself.", with_key=False),
            Step("Sign in when your browser opens, choose a project and allow access."),
        ),
        with_key=(config.step(ADD_TO_FILE, with_key=True),),
        config=config,
        guide="https://goose-docs.ai/docs/getting-started/using-extensions",
    )


def lm_studio(target: Target) -> Assistant:
    entry = target.with_headers({"url": target.url})
    config = ConfigFile("~/.lmstudio/mcp.json", None, entry)
    link = f"lmstudio://add_mcp?name={SERVER_NAME}&config={encoded(entry)}"
    begin = "Or open" if target.has_key else "Open"
    return Assistant(
        "lm-studio",
        "LM Studio",
        with_key=(
            *([install_step("LM Studio", link)] if target.has_key else []),
            config.step(
                f"{begin} Program, then Install, then “Edit mcp.json”, and add this.", with_key=True, target="mcp.json"
            ),
        ),
        config=config,
        guide="https://lmstudio.ai/docs/app/mcp",
        links_with_key=True,
    )


def librechat(target: Target) -> Assistant:
    entry = {"type": "streamable-http", "url": target.url}
    sign_in = {**entry, "requiresOAuth": True}
    config = ConfigFile("librechat.yaml", sign_in, target.with_headers(entry), format="yaml")
    return Assistant(
        "librechat",
        "LibreChat",
        sign_in=(
            config.step("Add this to librechat.yaml.", with_key=False),
            Step("Restart LibreChat. Each person signs in when they first select selfmemory in a chat."),
        ),
        with_key=(
            config.step("Add this to librechat.yaml.", with_key=True),
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
