"""Corrects common mistakes of clients in a message or its headers, before the SDK refuses it.

The SDK answers a batch with a page of validator output, an unknown revision with a sentence about `_meta`, and any
`Accept` without JSON with 406. People see these answers and cannot act on them.
"""

from collections.abc import Mapping
from typing import Any

from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp.types import (
    DEFAULT_NEGOTIATED_VERSION,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    UNSUPPORTED_PROTOCOL_VERSION,
)
from mcp.types.version import KNOWN_PROTOCOL_VERSIONS, LATEST_HANDSHAKE_VERSION, MODERN_PROTOCOL_VERSIONS
from pydantic_core import to_json
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from server.errors import Invalid
from server.text.json_text import parse_json
from server.web.forwarding import joined
from tools.messages import id_of, wrong_message, wrong_parameter

JSON, EVENTS = "application/json", "text/event-stream"
JSON_TYPES = {JSON, "application/*", "*/*"}
WITH_ARGUMENTS = ("tools/call", "prompts/get")
MOST_PARTS = 20_000
"""The most names, values and commas of a body, or of arguments as text: several times as many as the largest metadata
has.
"""

ABSENT = (
    "completion/complete",
    "logging/setLevel",
    "resources/subscribe",
    "resources/unsubscribe",
    "subscriptions/listen",
)
"""Methods that this server does not have. The SDK says so only after it has found no fault in their parameters."""


def corrected_app(app: ASGIApp, headers: Headers, body: bytes, message: object) -> ASGIApp:
    """Return `app` for the corrected message, or an answer that says what is wrong with the message."""
    if sentence := wrong_message(message):
        return failure(INVALID_REQUEST, sentence, id_of(message))
    assert isinstance(message, dict)  # noqa: S101 - otherwise `wrong_message` has refused it
    named = named_revision(headers)
    revision = named or revision_in(message)
    if not (is_handshake(message) or revision is None or revision in KNOWN_PROTOCOL_VERSIONS):
        return unknown_revision(message, revision)
    has_revision = bool(named) and not is_handshake(message)
    is_modern = revision in MODERN_PROTOCOL_VERSIONS
    if (method := message.get("method")) in ABSENT:
        status = 404 if is_modern else 200  # as the SDK does, also below
        return accepting(failure(METHOD_NOT_FOUND, "Method not found", id_of(message), method, status=status), headers)
    corrected = correct(message)
    if sentence := wrong_parameter(corrected or message, named if has_revision else DEFAULT_NEGOTIATED_VERSION):
        status = 400 if is_modern else 200
        return accepting(failure(INVALID_PARAMS, sentence, id_of(message), status=status), headers)
    whole = body if corrected is None else to_json(corrected)
    return accepting(replaying(app, whole, named if has_revision else None), headers)


def named_revision(headers: Headers) -> str:
    """Return the revision that the header names, or "". A proxy may add an equal copy, on a line of its own or after a
    comma. Different ones are no known revision.
    """
    value = joined(headers, MCP_PROTOCOL_VERSION_HEADER)
    copies = {copy.strip() for copy in value.split(",")}
    return copies.pop() if len(copies) == 1 else value


def is_handshake(message: Mapping[str, Any]) -> bool:
    """Return whether the message begins a connection. Modern revisions, named in each message, have no handshake."""
    return message.get("method") == "initialize" and revision_in(message) not in MODERN_PROTOCOL_VERSIONS


def unknown_revision(message: Mapping[str, Any], revision: str) -> JSONResponse:
    sentence = f"Unsupported protocol version. This server knows {', '.join(KNOWN_PROTOCOL_VERSIONS)}."
    # The conformance suite compares this list with the one in server/discover, which earlier revisions do not have.
    data = {"supported": list(MODERN_PROTOCOL_VERSIONS), "requested": revision}
    return failure(UNSUPPORTED_PROTOCOL_VERSION, sentence, id_of(message), data)


def revision_in(message: Mapping[str, Any]) -> str | None:
    """Return the revision that the message itself names, as messages do since revision 2026-07-28."""
    match message:
        case {"params": {"_meta": {"io.modelcontextprotocol/protocolVersion": str(revision)}}}:
            return revision
    return None


def correct(message: dict[str, Any]) -> dict[str, Any] | None:
    """Return the message in a form that the SDK accepts, or None if it needs no correction.

    A handshake succeeds with any parameters. A whole number as id may be written as 1.0. Null for an id or parameters
    means none, except in a reply to a message whose id the client could not read.
    """
    if "method" not in message:
        return None
    if is_handshake(message):
        return {**message, "id": id_of(message), "params": _handshake(message.get("params"))}
    right = {"id": id_of(message), "params": _right_parameters(message.get("method"), message.get("params"))}
    corrected = {**message, **right}
    for name in right:
        if corrected[name] is None:
            del corrected[name]
    is_right = corrected.keys() == message.keys() and all(corrected[name] is message[name] for name in corrected)
    return None if is_right else corrected


def _right_parameters(method: object, params: object) -> object:
    """Return the parameters as the SDK reads them.

    Arguments may be a JSON object as text. An empty list, as PHP writes an empty object, means none. A progress token
    has no effect, so one of the wrong type is left out.
    """
    if not isinstance(params, dict):
        return None if params == [] else params
    right = params
    if method in WITH_ARGUMENTS and isinstance(params.get("arguments"), str | list):
        right = {**right, "arguments": _arguments_in(params["arguments"])}
    match params:
        case {"_meta": {"progressToken": token, **meta}} if not isinstance(token, str | int):
            right = {**right, "_meta": meta}
    return right


def _handshake(params: object) -> dict[str, object]:
    """Return parameters that the SDK can negotiate. The server uses only the revision."""
    revision = params.get("protocolVersion") if isinstance(params, dict) else None
    return {
        "protocolVersion": revision if isinstance(revision, str) else LATEST_HANDSHAKE_VERSION,
        "capabilities": {},
        "clientInfo": {"name": "client", "version": "0"},
    }


def _arguments_in(written: object) -> object:
    """Parse JSON text. Return None for blank text and an empty list. Other values stay, to be refused later."""
    value = written
    if isinstance(written, str) and written.strip():
        try:
            value = parse_json(written.encode(), allow_inf_nan=True, most_parts=MOST_PARTS)
        except Invalid:
            return written
    return None if value == [] or (isinstance(value, str) and not value.strip()) else value


def failure(
    code: int, sentence: str, request_id: object = None, data: object = None, *, status: int = 400
) -> JSONResponse:
    """Return a JSON-RPC error."""
    error = {"code": code, "message": sentence} | ({} if data is None else {"data": data})
    return JSONResponse({"jsonrpc": "2.0", "id": request_id, "error": error}, status)


def replaying(app: ASGIApp, body: bytes, revision: str | None) -> ASGIApp:
    """Return `app` with a `receive` that delivers the body, as JSON of this revision, or of none if it is None."""

    async def replayed(connection: Connection, receive: Receive, send: Send) -> None:
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive_body() -> Message:
            return messages.pop() if messages else await receive()

        connection = with_header(connection, MCP_PROTOCOL_VERSION_HEADER, revision)
        # The SDK compares the media type with its own spelling.
        await app(with_header(connection, "content-type", JSON), receive_body, send)

    return replayed


def accepting(app: ASGIApp, headers: Headers) -> ASGIApp:
    """Return `app` for clients that accept anything. A client that accepts only event streams gets the answer as one
    event.
    """
    accepted = {part.partition(";")[0].strip().lower() for part in joined(headers, "accept").split(",")}
    accepts_only_events = EVENTS in accepted and not accepted & JSON_TYPES

    async def run(connection: Connection, receive: Receive, send: Send) -> None:
        answer = untyped_if_empty(one_event(send) if accepts_only_events else send)
        await app(with_header(connection, "accept", f"{JSON}, {EVENTS}"), receive, answer)

    return run


def with_header(connection: Connection, name: str, value: str | None) -> Connection:
    """Return the connection with this value of the header alone, or without the header if it is None."""
    headers = [(key, old) for key, old in connection["headers"] if key != name.encode()]
    return {**connection, "headers": headers if value is None else [*headers, (name.encode(), value.encode())]}


def untyped_if_empty(send: Send) -> Send:
    """Return a `send` that leaves the media type out of a 202, the answer to a notification. Clients that see one parse
    the content, and fail.
    """

    async def send_untyped(message: Message) -> None:
        if message.get("status") == 202:
            message = {**message, "headers": [line for line in message["headers"] if line[0] != b"content-type"]}
        await send(message)

    return send_untyped


def one_event(send: Send) -> Send:
    """Return a `send` that turns a JSON answer with status 200 into one server-sent event."""
    start: Message = {}
    body = bytearray()

    async def send_event(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
            return
        body.extend(message.get("body", b""))
        if message.get("more_body"):
            return
        if start["status"] == 200:
            event = b"event: message\r\ndata: " + bytes(body) + b"\r\n\r\n"
            headers = MutableHeaders(raw=list(start["headers"]))
            headers["content-type"], headers["content-length"] = EVENTS, str(len(event))
            await send({**start, "headers": headers.raw})
            await send({"type": "http.response.body", "body": event})
        else:
            await send(start)
            await send({"type": "http.response.body", "body": bytes(body)})

    return send_event
