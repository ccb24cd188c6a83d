"""Recognizes pieces that only ask a question. Only half of their similarity counts.

Questions resemble other questions: "Where did you go?" is closer to "When did she go?" than any answer is. A long piece
that ends in a question mark also holds facts ("I moved to Lyon in May, did you know?"), so it counts fully.
docs/benchmarks.md shows what the rule gains.
"""

import re

MAX_LENGTH = 80
"""Maximum length of such a piece. Without this limit, the rule costs as much as it gains."""

_QUESTION = re.compile(
    r"(?:[?\uff1f\ufe56\u061f\u037e\u2047-\u2049\u203d\u2e2e\u1367\u055e\u1945\ua60f\ua6f7]"
    r"|(?<=[\u0370-\u03ff\u1f00-\u1fff]);)"  # most people type ; as the Greek question mark
    r"[\W_]*\Z"
)
"""A question mark of any script, after which only punctuation, emoji and whitespace follow."""


def only_asks(piece: str) -> bool:
    return len(piece) <= MAX_LENGTH and _QUESTION.search(piece) is not None
