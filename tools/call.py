"""Inject the caller into a tool, and answer a tool's error with one sentence."""

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
    """Return the call that the gate authenticated. No argument of the tool can name another caller."""
    request = context.request_context.request
    assert isinstance(request, Request)  # noqa: S101 - over HTTP there always is one
    call: Call = request.scope[CALL]
    return call


Caller = Annotated[Call, Resolve(current_call)]
"""The type of a tool's first parameter, which is not part of the schema that models see."""


class Tools(MCPServer[dict[str, Any]]):
    """The SDK's server, with this server's sentences for errors."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Run a tool. A null argument is treated as absent. Raises MCPError for an unknown tool."""
        present = {key: value for key, value in arguments.items() if value is not None}
        try:
            require_storable(present)
            return await super().call_tool(name, present, context)
        except Invalid as error:
            return refusal(error.detail)
        except ToolError as error:
            if error.__cause__ is None:  # the SDK raises it without a cause only for an unknown name
                raise MCPError(INVALID_PARAMS, f"Unknown tool: {name}") from None
            return refusal(sentence(error))


def refusal(text: str) -> CallToolResult:
    """Return a tool error, which the model reads so that it can correct its next call."""
    return CallToolResult(content=[TextContent(text=text)], is_error=True)
