"""Every assistant that has instructions, on one screen. Those that work with any server come first."""

from server.assistants import apps, editors, hosted, programs, terminals
from server.assistants.instructions import Assistant, Target

LOCAL = (
    terminals.claude_code,
    apps.claude_desktop,
    editors.cursor,
    editors.vscode,
    terminals.codex,
    terminals.gemini,
    terminals.opencode,
    editors.zed,
    editors.windsurf,
    editors.cline,
    apps.goose,
    apps.lm_studio,
    apps.librechat,
    apps.open_webui,
)
HOSTED = (hosted.claude, hosted.chatgpt)
PROGRAMS = (programs.any_client, programs.python, programs.rest)


def assistants(target: Target, *, hosted_first: bool = False) -> list[Assistant]:
    """Return all assistants, the most common ones first. Hosted ones cannot reach a server on this computer."""
    order = (*HOSTED, *LOCAL, *PROGRAMS) if hosted_first else (*LOCAL, *HOSTED, *PROGRAMS)
    return [build(target) for build in order]


NAMES = tuple(assistant.id for assistant in assistants(Target("")))
"""The names that `connect` accepts."""
