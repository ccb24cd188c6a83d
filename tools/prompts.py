"""Prompts that a person picks in an assistant. The assistant then works with the tools."""

from dataclasses import dataclass

from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, GetPromptResult, PromptArgument, PromptMessage, TextContent
from mcp.types import Prompt as ListedPrompt


@dataclass(frozen=True, slots=True)
class Prompt:
    """`text` is what the assistant reads; `{topic}` in it is the argument, if there is one."""

    name: str
    title: str
    description: str
    text: str
    arguments: tuple[PromptArgument, ...] = ()

    @property
    def listed(self) -> ListedPrompt:
        return ListedPrompt(
            name=self.name, title=self.title, description=self.description, arguments=list(self.arguments)
        )


TOPIC = PromptArgument(name="topic", title="Topic", description="What to look for", required=True)
PROMPTS = (
    Prompt(
        "remember",
        "Remember this conversation",
        "Save what is worth remembering from this conversation",
        "Go through our conversation and find what is worth remembering for later: facts about me and the people I "
        "named, preferences, decisions with their reasons, plans with their dates. Search for each first. Add what is "
        "new with add_memory, one memory for one thing, written so that it makes sense on its own in a year. If a "
        "memory is no longer true, correct it with update_memory. Leave out passwords, keys and small talk. At the "
        "end, list what you added and what you changed.",
    ),
    Prompt(
        "recall",
        "Recall a topic",
        "Say what is remembered about a topic",
        "Search my memories about the topic below, in several ways: the topic itself, other words for it, the people "
        "and the places that go with it. Use fetch for results that are cut. Then tell me what is remembered, with "
        "dates, newest first, and say where memories contradict each other. If there is nothing, "
        "say so.\n\nTopic: {topic}",
        (TOPIC,),
    ),
    Prompt(
        "briefing",
        "Brief me",
        "Start a conversation with what matters now",
        "Before we start, call the tool context, and search for my current projects, plans and "
        "preferences. Then brief me in at most ten lines: what is going on, what comes next, what I should not forget. "
        "Do not add or change anything.",
    ),
)
_BY_NAME = {prompt.name: prompt for prompt in PROMPTS}


def prompt_result(name: str, arguments: dict[str, str]) -> GetPromptResult:
    """Return the prompt's message. Raises MCPError for an unknown prompt, or when an argument is missing."""
    prompt = _BY_NAME.get(name)
    if prompt is None:
        raise MCPError(INVALID_PARAMS, f"Unknown prompt. The prompts are {', '.join(_BY_NAME)}.")
    text = prompt.text
    for argument in prompt.arguments:
        value = arguments.get(argument.name, "").strip()
        if not value:
            raise MCPError(INVALID_PARAMS, f"{argument.name}: is required.")
        text = text.replace(f"{{{argument.name}}}", value)
    message = PromptMessage(role="user", content=TextContent(text=text))
    return GetPromptResult(description=prompt.description, messages=[message])
