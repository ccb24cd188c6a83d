"""Suggests a tool for a name that no tool has."""

import re
from difflib import get_close_matches

from server.text.spelling import NAME_LENGTH

VERBS = {
    "search": "search find query recall retrieve lookup",
    "list_memories": "list all browse",
    "context": "context briefing profile",
    "add_memory": "add create remember save store write insert",
    "update_memory": "update edit change correct modify replace",
    "delete_memory": "delete remove",
}
"""Each tool, with the verbs of other servers' tools that do the same."""

VAGUE_VERBS = "fetch get read open"
"""These decide only if no other word does: `get_all` lists, and `get_context` is the context."""

REVERSING = {"undo", "undelete", "restore", "revert", "rollback"}
"""No tool does the opposite of the verbs that follow these."""

TOOL_OF = {verb: tool for tool, verbs in VERBS.items() for verb in verbs.split()}
A_TYPO = 0.8
"""A word this similar (`difflib`) to a verb with the same first letter is that verb. `move` is no `remove`."""


def suggested_tool(name: str) -> str | None:
    """Return the tool that is probably meant, or None.

    The verb decides: the whole of `get_memory` is nearest to `delete_memory`, and a model would follow that.
    """
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]
    if len(name) > NAME_LENGTH or REVERSING.intersection(words):
        return None
    of_vague = dict.fromkeys(VAGUE_VERBS.split(), "list_memories" if "memories" in words else "fetch")
    for meant in (words, [*map(_corrected, words)]):
        for tools in (TOOL_OF, of_vague):
            if verb := next((word for word in meant if word in tools), None):
                return tools[verb]
    return None


def _corrected(word: str) -> str | None:
    verbs = (verb for verb in (*TOOL_OF, *VAGUE_VERBS.split()) if verb[0] == word[0])
    return next(iter(get_close_matches(word, verbs, n=1, cutoff=A_TYPO)), None)
