"""Runs one tool for the caller that the gate authenticated, and answers every failure with one sentence."""

from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.types import CallToolResult, TextContent
from starlette.requests import Request

from server.shell.runtime import Call
from server.web.wire import validated
from tools.arguments import read_arguments
from tools.catalog import Tool
from tools.errors import sentence
from tools.gate import CALL
from tools.views import Answer

Context = ServerRequestContext[Any, Any]


def call_of(context: Context) -> Call:
    """Return the call that the gate authenticated. No argument of a request can name another caller."""
    request = context.request
    assert isinstance(request, Request)  # noqa: S101 - over HTTP there is always one
    call: Call = request.scope[CALL]
    return call


async def run_tool(call: Call, tool: Tool, called: str, arguments: dict[str, Any] | None) -> CallToolResult:
    """Run the tool. `called` is the name that the caller used. A failure is a result, not an error."""
    try:
        call.principal.require(tool.scope)
        values = read_arguments(called, tool.input_schema, arguments)
        return result_of(await tool.run(call, validated(tool.arguments, values)))
    except Exception as error:  # noqa: BLE001 - unknown failures are logged as crashes
        return CallToolResult(content=[TextContent(text=sentence(error))], is_error=True)


def result_of(answer: Answer) -> CallToolResult:
    """Return the answer as structured content and as text, because many clients pass on only the text."""
    return CallToolResult(
        content=[TextContent(text=answer.text)], structured_content=answer.view.model_dump(mode="json")
    )
