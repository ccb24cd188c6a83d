"""Checks JSON-RPC messages and their parameters. The SDK drops some invalid messages, and explains none of them."""

from collections.abc import Mapping
from typing import Any

from mcp.types import JSONRPCError, JSONRPCResponse
from mcp.types.methods import validate_client_request
from pydantic import TypeAdapter, ValidationError

from server.text.reasons import reason_of
from server.text.spelling import field_of, shortened
from tools.catalog import TOOLS
from tools.prompts import PROMPTS

BATCH = "This server takes one JSON-RPC message at a time, not a batch. Send each message in its own request."
MESSAGE = "an object with jsonrpc, method and, for a request, id"
NOTIFICATIONS = "notifications/"
TOOLS_THERE_ARE = f"The tools are {', '.join(tool.name for tool in TOOLS)}."
NEEDED = {
    "tools/call": ("name", TOOLS_THERE_ARE),
    "prompts/get": ("name", f"The prompts are {', '.join(prompt.name for prompt in PROMPTS)}."),
    "resources/read": ("uri", "It is memory:// followed by the id of a memory."),
}
"""The parameter that each method needs, and a sentence about its values."""

ONE_PAGE = ("tools/list", "prompts/list", "resources/templates/list")
"""The lists that fit on one page, so that every cursor is unknown."""

_REPLY = TypeAdapter[object](JSONRPCResponse | JSONRPCError)


def wrong_message(message: object) -> str | None:
    """Return an error message for a decoded body that is not a JSON-RPC message, else None."""
    if isinstance(message, list):
        return BATCH
    problem = _wrong_part_of(message)
    return f"The body must be one JSON-RPC 2.0 message: {problem}." if problem else None


def wrong_parameter(message: Mapping[str, Any], revision: str) -> str | None:
    """Return an error message for the first wrong parameter of a JSON-RPC message of the revision, or None."""
    method, params = message.get("method"), message.get("params") or {}
    name, hint = NEEDED.get(str(method), (None, None))
    if name and not isinstance(params.get(name), str):
        return f"{name}: is required and must be text. {hint}"
    if not isinstance(params.get("cursor"), str | None):
        return "cursor: must be text."
    if params.get("cursor") and method in ONE_PAGE:
        return "cursor: must be left out, because this list has one page."
    if not isinstance(params.get("_meta"), dict | None):
        return "_meta: must be a JSON object."
    arguments = params.get("arguments")
    if name and not isinstance(arguments, dict | None):
        return "arguments: must be a JSON object."
    if method == "prompts/get":
        wrong = next((name for name, value in (arguments or {}).items() if not isinstance(value, str)), None)
        if wrong is not None:
            return f"arguments.{shortened(wrong)}: must be text."
    return _fault_in(str(method), params, revision)


def id_of(message: object) -> str | int | None:
    """Return the id of a request, or None if it is missing or has the wrong type."""
    request_id = message.get("id") if isinstance(message, dict) else None
    if isinstance(request_id, float) and request_id.is_integer():
        return int(request_id)
    return request_id if isinstance(request_id, str | int) and not isinstance(request_id, bool) else None


def _wrong_part_of(message: object) -> str | None:
    if not isinstance(message, dict) or not message.keys() & {"jsonrpc", "method", "id"}:
        return MESSAGE
    if message.get("jsonrpc") != "2.0":
        return 'jsonrpc must be "2.0"'
    params = message.get("params")
    if not isinstance(params, dict | None) and params != []:
        return "params must be an object"
    if _is_reply(message):
        return None
    method = message.get("method")
    if not isinstance(method, str):
        return "method must be text"
    is_notification = method.startswith(NOTIFICATIONS)
    if "id" in message and id_of(message) is None and not (is_notification and message["id"] is None):
        return "id must be text or a whole number"
    if "id" not in message and not is_notification:
        return f"id is required, because {shortened(method) or 'this'} is not a notification"
    return None


def _is_reply(message: Mapping[str, Any]) -> bool:
    """Return whether the message is a client's answer to a request of the server. The SDK accepts such answers."""
    try:
        _REPLY.validate_python(message)
    except ValidationError:
        return False
    return "method" not in message


def _fault_in(method: str, params: Mapping[str, Any], revision: str) -> str | None:
    """Return an error message for the first parameter of the wrong type, or None. The SDK names the missing ones."""
    try:
        validate_client_request(method, revision, params)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
    except KeyError:  # the SDK answers that it does not have this method
        return None
    else:
        return None
    path = problem["loc"][1:]
    is_missing = problem["type"] == "missing" and len(path) < 3
    return None if is_missing else f"{field_of(path)}: {reason_of(problem)}."
