"""What a model wants in front of a question and of a passage. It was trained so, and finds less without it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

PASSAGE_NAMES = ("document", "passage", "corpus")


@dataclass(frozen=True, slots=True)
class Prompts:
    """Both end with their own blank."""

    question: str = ""
    passage: str = ""

    def before(self, *, is_question: bool) -> str:
        return self.question if is_question else self.passage


NO_PROMPTS = Prompts()
E5 = Prompts("query: ", "passage: ")

_E5_NAME = re.compile(r"(multilingual-)?e5-(small|base|large)(-v2)?")
"""Models that were published before such files could name prompts."""


def prompts_of(config: Mapping[str, object], name: str) -> Prompts:
    """Return the prompts of a `config_sentence_transformers.json`. `name` is the last part of the model's name."""
    named = config.get("prompts")
    prompts = {key: value for key, value in named.items() if isinstance(value, str)} if isinstance(named, dict) else {}
    default = prompts.get(str(config.get("default_prompt_name")), "")
    passage = next((prompts[key] for key in PASSAGE_NAMES if key in prompts), default)
    found = Prompts(prompts.get("query", default), passage)
    return E5 if found == NO_PROMPTS and _E5_NAME.fullmatch(name) else found
