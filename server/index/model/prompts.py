"""The prompts for questions and passages. A model that was trained with prompts finds less without them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

PASSAGE_NAMES = ("document", "passage", "corpus")


@dataclass(frozen=True, slots=True)
class Prompts:
    """Both include the space at their end."""

    question: str = ""
    passage: str = ""

    def before(self, *, is_question: bool) -> str:
        return self.question if is_question else self.passage


NO_PROMPTS = Prompts()
E5 = Prompts("query: ", "passage: ")

_E5_NAME = re.compile(r"(multilingual-)?e5-(small|base|large)(-v2)?")
"""Prompts of models that were published before configuration files could name them."""

_RETRIEVAL = "Represent this sentence for searching relevant passages: "
_KNOWN = (
    (_E5_NAME, E5),
    (re.compile(r"nomic-embed-text.*"), Prompts("search_query: ", "search_document: ")),
    (re.compile(r"mxbai-embed-large.*|bge-(small|base|large)-en.*"), Prompts(_RETRIEVAL)),
    (re.compile(r"snowflake-arctic-embed2.*|snowflake-arctic-embed-\w-v2.*"), Prompts("query: ")),
    (re.compile(r"embeddinggemma.*"), Prompts("task: search result | query: ", "title: none | text: ")),
)
"""Prompts that publishers document, for models that people run behind endpoints, where we cannot read such a file."""


def prompts_of_name(model: str) -> Prompts:
    """Return the prompts of a model by its name alone: "nomic-embed-text", "intfloat/e5-small:latest"."""
    name = model.rpartition("/")[2].partition(":")[0].lower()
    return next((prompts for pattern, prompts in _KNOWN if pattern.fullmatch(name)), NO_PROMPTS)


def prompts_of(config: Mapping[str, object], name: str) -> Prompts:
    """Return the prompts of a `config_sentence_transformers.json`. `name` is the last part of the model's name."""
    named = config.get("prompts")
    prompts = {key: value for key, value in named.items() if isinstance(value, str)} if isinstance(named, dict) else {}
    default = prompts.get(str(config.get("default_prompt_name")), "")
    passage = next((prompts[key] for key in PASSAGE_NAMES if key in prompts), default)
    found = Prompts(prompts.get("query", default), passage)
    return E5 if found == NO_PROMPTS and _E5_NAME.fullmatch(name) else found
