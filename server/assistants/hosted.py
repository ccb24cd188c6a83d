"""Assistants that connect from their vendor's servers. They sign in, and need a public https address."""

from server.assistants.instructions import Assistant, Step, Target


def claude(target: Target) -> Assistant:
    steps = (
        Step(
            "In Claude on the web, open Customize, then Connectors (in older versions: Settings, then Connectors). "
            "Select “+”, then “Add custom connector”."
        ),
        Step(
            "Name it SelfMemory and paste this URL. Leave the advanced settings empty.",
            target.url,
            "Remote MCP server URL",
        ),
        Step("Select “Connect”. Sign in, choose a project and allow access. It works in the mobile app too."),
    )
    guide = "https://support.claude.com/en/articles/11175166-get-started-with-custom-connectors-using-remote-mcp"
    return Assistant("claude", "Claude", steps, vendor="Anthropic", guide=guide)


def chatgpt(target: Target) -> Assistant:
    steps = (
        Step(
            "In ChatGPT on the web, open Settings, then Apps (in older versions: Connectors), then Advanced settings, "
            "and turn on Developer mode. In a company workspace, an admin must allow it first."
        ),
        Step("Select “Create app”, name it SelfMemory, paste this URL and choose OAuth.", target.url, "MCP Server URL"),
        Step("Select “Create”. Sign in, choose a project and allow access."),
        Step("In a chat, select “+”, then Developer mode, and turn on SelfMemory."),
    )
    guide = "https://developers.openai.com/api/docs/guides/developer-mode"
    return Assistant("chatgpt", "ChatGPT", steps, vendor="OpenAI", guide=guide)
