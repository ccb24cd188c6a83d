"""How a request reaches a tool: the call is injected, and what the tool raises is answered in one sentence."""

from typing import Annotated, Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context, Resolve
from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, CallToolResult, InputRequiredResult, TextContent
from starlette.requests import Request

from server.errors import Invalid
from server.runtime import Call
from server.wire import require_storable
from tools.errors import sentence
from tools.gate import CALL


async def current_call(context: Context[Any, Any]) -> Call:
    """The call that the gate let in; no argument can name another."""
    request = context.request_context.request
    assert isinstance(request, Request)  # noqa: S101 - over HTTP there always is one
    call: Call = request.scope[CALL]
    return call


Caller = Annotated[Call, Resolve(current_call)]
"""The type of a tool's first parameter, which no model ever sees."""


class Tools(MCPServer[dict[str, Any]]):
    """The protocol's server, with our own words for what goes wrong in a tool."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """An argument that is null counts as one that was not sent. Raises MCPError for an unknown tool."""
        given = {key: value for key, value in arguments.items() if value is not None}
        try:
            require_storable(given)
            return await super().call_tool(name, given, context)
        except Invalid as error:
            return refusal(error.detail)
        except ToolError as error:
            if error.__cause__ is None:  # raised bare for a name that is not known, and for nothing else
                raise MCPError(INVALID_PARAMS, f"Unknown tool: {name}") from None
            return refusal(sentence(error))


def refusal(text: str) -> CallToolResult:
    """A tool error: the model reads it and may mend its next call."""
    return CallToolResult(content=[TextContent(text=text)], is_error=True)
