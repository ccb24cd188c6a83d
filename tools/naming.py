"""Suggests a tool for a name that no tool has."""

import re
from difflib import get_close_matches

from server.spelling import NAME_LENGTH

VERBS = {
    "search": "search find query recall retrieve lookup",
    "list_memories": "list all browse",
    "context": "context briefing profile",
    "add_memory": "add create remember save store write insert",
    "update_memory": "update edit change correct modify replace",
    "delete_memory": "delete remove",
}
"""Each tool, with the verbs of other servers' tools that do the same."""

READS_ONE = "fetch get read open"
"""These decide only if no other word does: `get_all` lists, and `get_context` is the context."""

TOOL_OF = {verb: tool for tool, verbs in VERBS.items() for verb in verbs.split()}
TOOL_OF_A_VAGUE_VERB = dict.fromkeys(READS_ONE.split(), "fetch")
A_TYPO = 0.8
"""A word this similar (`difflib`) to a verb is that verb."""


def suggested_tool(name: str) -> str | None:
    """Return the tool that is probably meant, or None.

    The verb decides: the whole of `get_memory` is nearest to `delete_memory`, and a model would follow that.
    """
    if len(name) > NAME_LENGTH:
        return None
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]
    for tools in (TOOL_OF, TOOL_OF_A_VAGUE_VERB):
        meant = (get_close_matches(word, tools, n=1, cutoff=A_TYPO) for word in words)
        if verb := next((close[0] for close in meant if close), None):
            return tools[verb]
    return None
