"""Instructions that make an assistant load pinned and recent memories at the start of each conversation."""

from server.assistants.instructions import SERVER_NAME, Step, Target, as_json

INSTRUCTION = "Optional: start each conversation with your pinned and recent memories. Add this."
LINE = f"Before your first answer, call the tool `context` of {SERVER_NAME} and use what it says."


def hook(target: Target) -> Step:
    """Return the hook of Claude Code. What it prints becomes part of the conversation."""
    command = f'curl -s -H "X-API-Key: {target.key}" {target.public_url}/api/memories/context | jq -r .text'
    hooks = {"SessionStart": [{"hooks": [{"type": "command", "command": command}]}]}
    return Step(f"{INSTRUCTION} It needs curl and jq.", as_json({"hooks": hooks}), "~/.claude/settings.json")


CURSOR_RULE = Step(INSTRUCTION, f"---\nalwaysApply: true\n---\n{LINE}", f".cursor/rules/{SERVER_NAME}.mdc")
CODEX_LINE = Step(INSTRUCTION, LINE, "~/.codex/AGENTS.md")
