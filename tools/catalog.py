"""The table of all tools."""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mcp.types import Tool as ListedTool
from mcp.types import ToolAnnotations
from pydantic import BaseModel

from server.principal import Scope
from server.shell.runtime import Call
from tools import inputs, views
from tools.reading import fetch_memory, list_memories, read_context, search_memories
from tools.schemas import flat_schema
from tools.views import Answer
from tools.writing import add_memory, delete_memory, update_memory


@dataclass(frozen=True)
class Tool:
    """`run` takes the call and `arguments`, and answers with a `view`. Its docstring is what models read."""

    name: str
    run: Callable[[Call, Any], Awaitable[Answer]]
    arguments: type[BaseModel]
    view: type[BaseModel]
    title: str
    scope: Scope
    hints: ToolAnnotations

    @cached_property
    def input_schema(self) -> dict[str, Any]:
        return flat_schema(self.arguments)

    @cached_property
    def listed(self) -> ListedTool:
        """Return the tool's entry in the list. The title is there twice, for older and for newer clients."""
        return ListedTool(
            name=self.name,
            title=self.title,
            description=inspect.getdoc(self.run),
            input_schema=self.input_schema,
            output_schema=flat_schema(self.view),
            annotations=self.hints.model_copy(update={"title": self.title}),
        )


def hints(*, reads: bool = False, destroys: bool = False, repeats: bool = False) -> ToolAnnotations:
    """Return all four hints. `repeats` means that a repeated call has no further effect."""
    return ToolAnnotations(
        read_only_hint=reads, destructive_hint=destroys, idempotent_hint=repeats, open_world_hint=False
    )


READ, WRITE = Scope.READ, Scope.WRITE
READS = hints(reads=True, repeats=True)
CHANGES = hints(repeats=True)
DELETES = hints(destroys=True, repeats=True)
TOOLS = (
    Tool("search", search_memories, inputs.SearchArguments, views.Matches, "Search memories", READ, READS),
    Tool("fetch", fetch_memory, inputs.FetchArguments, views.Document, "Read a memory", READ, READS),
    Tool("list_memories", list_memories, inputs.ListArguments, views.Page, "List memories", READ, READS),
    Tool("context", read_context, inputs.ContextArguments, views.KnownAtTheStart, "Recall the essentials", READ, READS),
    Tool("add_memory", add_memory, inputs.AddArguments, views.Change, "Remember something", WRITE, hints()),
    Tool("update_memory", update_memory, inputs.UpdateArguments, views.Change, "Correct a memory", WRITE, CHANGES),
    Tool("delete_memory", delete_memory, inputs.DeleteArguments, views.Change, "Forget a memory", WRITE, DELETES),
)
FORMER_NAMES = {"list": "list_memories", "add": "add_memory", "update": "update_memory", "delete": "delete_memory"}
"""Tool names of earlier versions. They still work, but are not listed, because other servers use the same names."""

BY_NAME = {tool.name: tool for tool in TOOLS}
BY_NAME |= {former: BY_NAME[name] for former, name in FORMER_NAMES.items()}
SCOPES = {name: tool.scope for name, tool in BY_NAME.items()}
