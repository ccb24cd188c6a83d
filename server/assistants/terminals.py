"""Coding assistants in a terminal. Each has a command that adds a server, and a file that lists its servers."""

from server.assistants import start
from server.assistants.instructions import SERVER_NAME, Assistant, ConfigFile, Step, Target, same_path

SIGN_IN = Step("Sign in when your browser opens, choose a project and allow access.")


def claude_code(target: Target) -> Assistant:
    command = f"claude mcp add --transport http --scope user {SERVER_NAME} {target.url}"
    entry = {"type": "http", "url": target.url}
    return Assistant(
        "claude-code",
        "Claude Code",
        sign_in=(
            Step("Run this in a terminal.", command, "Terminal"),
            Step("Start Claude Code, enter /mcp and select “Authenticate”.", "/mcp", "Claude Code"),
            SIGN_IN,
        ),
        with_key=(Step("Run this in a terminal.", f'{command} --header "Authorization: {target.bearer}"', "Terminal"),),
        config=ConfigFile(
            "json",
            same_path("~/.claude.json"),
            ("mcpServers", SERVER_NAME),
            with_key={**entry, "headers": target.headers},
            sign_in=entry,
        ),
        guide="https://code.claude.com/docs/en/mcp",
        start=start.hook(target),
    )


def codex(target: Target) -> Assistant:
    config = ConfigFile(
        "toml",
        same_path("~/.codex/config.toml"),
        ("mcp_servers", SERVER_NAME),
        with_key={"url": target.url, "http_headers": target.headers},
        sign_in={"url": target.url},
    )
    return Assistant(
        "codex",
        "Codex",
        sign_in=(
            Step("Run this in a terminal.", f"codex mcp add {SERVER_NAME} --url {target.url}", "Terminal"),
            Step("If your browser does not open by itself, run this.", f"codex mcp login {SERVER_NAME}", "Terminal"),
            SIGN_IN,
        ),
        with_key=(Step("Add this to the configuration file.", config.snippet(with_key=True), config.shown_path),),
        config=config,
        guide="https://developers.openai.com/codex/mcp",
        start=start.line(),
    )


def gemini(target: Target) -> Assistant:
    command = f"gemini mcp add --transport http --scope user {SERVER_NAME} {target.url}"
    return Assistant(
        "gemini",
        "Gemini CLI",
        sign_in=(
            Step("Run this in a terminal.", command, "Terminal"),
            Step(
                "Start Gemini CLI in a folder that you trust, and enter this.", f"/mcp auth {SERVER_NAME}", "Gemini CLI"
            ),
            SIGN_IN,
        ),
        with_key=(Step("Run this in a terminal.", f'{command} --header "Authorization: {target.bearer}"', "Terminal"),),
        config=ConfigFile(
            "json",
            same_path("~/.gemini/settings.json"),
            ("mcpServers", SERVER_NAME),
            with_key={"httpUrl": target.url, "headers": target.headers},
            sign_in={"httpUrl": target.url},
        ),
        guide="https://geminicli.com/docs/tools/mcp-server",
    )


def opencode(target: Target) -> Assistant:
    entry = {"type": "remote", "url": target.url}
    config = ConfigFile(
        "json",
        same_path("~/.config/opencode/opencode.json"),
        ("mcp", SERVER_NAME),
        with_key={**entry, "oauth": False, "headers": target.headers},
        sign_in=entry,
    )
    instruction = "Add this to the configuration file."
    return Assistant(
        "opencode",
        "opencode",
        sign_in=(
            Step(instruction, config.snippet(with_key=False), config.shown_path),
            Step("Run this in a terminal.", f"opencode mcp auth {SERVER_NAME}", "Terminal"),
            SIGN_IN,
        ),
        with_key=(Step(instruction, config.snippet(with_key=True), config.shown_path),),
        config=config,
        guide="https://opencode.ai/docs/mcp-servers",
    )
