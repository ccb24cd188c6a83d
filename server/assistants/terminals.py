"""Coding assistants in a terminal. Each has a command that adds a server, and a file that lists its servers."""

from server.assistants import start
from server.assistants.instructions import ADD_TO_FILE, SERVER_NAME, Assistant, ConfigFile, Step, Target

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
        config=ConfigFile("~/.claude.json", entry, target.with_headers(entry)),
        guide="https://code.claude.com/docs/en/mcp",
        start=start.hook(target),
    )


def codex(target: Target) -> Assistant:
    entry = {"url": target.url}
    with_key = {**entry, "http_headers": target.headers}
    config = ConfigFile("~/.codex/config.toml", entry, with_key, format="toml", key="mcp_servers")
    return Assistant(
        "codex",
        "Codex",
        sign_in=(
            Step("Run this in a terminal.", f"codex mcp add {SERVER_NAME} --url {target.url}", "Terminal"),
            Step("If your browser does not open by itself, run this.", f"codex mcp login {SERVER_NAME}", "Terminal"),
            SIGN_IN,
        ),
        with_key=(config.step(ADD_TO_FILE, with_key=True),),
        config=config,
        guide="https://developers.openai.com/codex/mcp",
        start=start.CODEX_LINE,
    )


def gemini(target: Target) -> Assistant:
    command = f"gemini mcp add --transport http --scope user {SERVER_NAME} {target.url}"
    entry = {"httpUrl": target.url}
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
        config=ConfigFile("~/.gemini/settings.json", entry, target.with_headers(entry)),
        guide="https://geminicli.com/docs/tools/mcp-server",
    )


def opencode(target: Target) -> Assistant:
    entry = {"type": "remote", "url": target.url}
    with_key = target.with_headers({**entry, "oauth": False})
    config = ConfigFile("~/.config/opencode/opencode.json", entry, with_key, key="mcp")
    return Assistant(
        "opencode",
        "opencode",
        sign_in=(
            config.step(ADD_TO_FILE, with_key=False),
            Step("Run this in a terminal.", f"opencode mcp auth {SERVER_NAME}", "Terminal"),
            SIGN_IN,
        ),
        with_key=(config.step(ADD_TO_FILE, with_key=True),),
        config=config,
        guide="https://opencode.ai/docs/mcp-servers",
    )
