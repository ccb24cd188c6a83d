"""Reads requests (caller, body, query) and writes answers, for every REST handler."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import islice
from typing import TypeVar, get_origin

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from rest.endpoint import Reach, endpoint_of
from rest.views import Change, Created
from server.buckets import Bucket
from server.domain.access import Action, require_project, require_session
from server.errors import Invalid, ServiceError
from server.shell.runtime import Call, State
from server.text.json_text import parse_json
from server.text.spelling import not_a, shortened, warnings_of
from server.web.request_credentials import SAFE_METHODS, credential_of
from server.web.wire import WhenLarge, parse_query, read_body, require_json, require_storable, validated

Model = TypeVar("Model", bound=BaseModel)
Value = TypeVar("Value")
BODY_LIMIT = 100_000
BULK_BODY_LIMIT = 10_000_000
"""Maximum size of a body in bytes. The larger limit is for batches."""

CONDITIONS = ("If-Match", "If-Unmodified-Since")
"""The headers with which a caller allows a change only to what it has seen (RFC 9110 section 13)."""

MOST_WARNINGS = 100
"""Maximum number of warnings in an answer."""


async def call_of(request: Request[State], bucket: Bucket | None = None) -> Call:
    """Authenticate the request, before its body is read. Raises Unauthenticated, RateLimited for an empty `bucket`, and
    Forbidden for an API key or token if the endpoint is for signed-in people.

    With a session, `bucket` is checked if the query names the project.
    """
    runtime = request.state["runtime"]
    credential = credential_of(request, runtime.settings)
    call = Call(runtime, await runtime.authenticate(credential, bucket, request.query_params.get("project_id")))
    if endpoint_of(request).reach is Reach.SESSION:
        await _require_session(call, request.path_params.get("project_id"))
    await _require_nothing_unknown(request)
    return call


@asynccontextmanager
async def late_call_of(request: Request[State], bucket: Bucket | None = None) -> AsyncIterator[Call]:
    """Like `call_of`, but a credential that this process has seen before is checked in the first operation's
    transaction. Run one operation in the block. Use it only for small bodies, because the body is read before that
    check. An invalid credential is still refused before anything else.
    """
    runtime = request.state["runtime"]
    project_id = request.query_params.get("project_id") if bucket else None
    call = await runtime.late_call(credential_of(request, runtime.settings), bucket, project_id)
    try:
        await _require_nothing_unknown(request)
        yield call
    except ServiceError:
        await call.settle()
        raise


async def _require_session(call: Call, project_id: str | None) -> None:
    """Raises Forbidden for an API key or token, and NotFound if it does not reach the project in the path."""
    if project_id is not None and not call.principal.is_session:
        await call.read(require_project, project_id, Action.SEE)
    require_session(call.principal)


async def _require_nothing_unknown(request: Request[State]) -> None:
    """Raises Invalid for a query parameter, a condition, or a deletion's body, that the endpoint does not read."""
    require_known_parameters(request)
    _require_no_condition(request)
    if endpoint_of(request).takes_nothing:
        await read_if_any(request, Change)


def require_known_parameters(request: Request[State]) -> None:
    """Raises Invalid for an unknown query parameter. Ignoring one could widen the request, or change the wrong data."""
    if not request.scope["query_string"]:
        return
    query = endpoint_of(request).query
    fields = query.model_fields if query else {}
    for name in request.query_params:
        if name not in fields:
            available = f"Known parameters: {', '.join(fields)}." if fields else "This route takes no parameters."
            raise Invalid(f"{not_a('parameter', name, fields)} {available}", field=shortened(name))


def _require_no_condition(request: Request[State]) -> None:
    """Raises Invalid for a condition on a change. Ignoring one could overwrite what somebody else has changed."""
    if request.method in SAFE_METHODS:
        return
    for name in CONDITIONS:
        if request.headers.get(name, "*").strip() != "*":  # which means that the thing exists: a change requires that
            raise Invalid("is not supported, because answers have no ETag. Send the request without it.", field=name)


async def read(
    request: Request[State], model: type[Model], limit: int = BODY_LIMIT, when_large: WhenLarge | None = None
) -> Model:
    """Return the JSON body as `model`. Awaits `when_large` if the body is large.

    Raises Unsupported, TooLarge (over `limit` bytes) and Invalid.
    """
    require_json(request)
    body = await read_body(request, limit, when_large)
    if len(body) > BODY_LIMIT:  # parsing takes up to 0.1 s, too long for the event loop
        return await request.state["runtime"].in_thread(parsed, model, body)
    return parsed(model, body)


async def read_if_any(request: Request[State], model: type[Model]) -> Model:
    """Like `read`, but an empty body gives the model's defaults, also one that a proxy has made chunked."""
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return model()
    body = await read_body(request, BODY_LIMIT)
    if not body:
        return model()
    require_json(request)
    return parsed(model, body)


def read_query(request: Request[State], model: type[Model]) -> Model:
    """Return the query parameters as `model`.

    A list may be repeated. Raises Invalid if any other parameter is repeated with different values.
    """
    values: dict[str, object] = {}
    values_by_name = parse_query(request)
    for name, field in model.model_fields.items():
        if texts := values_by_name.get(name):
            values[name] = texts if get_origin(field.annotation) is tuple else single_value(name, *texts)
    require_storable(values)
    return validated(model, values)


def single_value(field: str, *values: Value | None) -> Value | None:
    """Return the value of a field that a request may give in several places. Raises Invalid if two differ."""
    present = [value for value in values if value is not None]
    if any(value != present[0] for value in present):
        raise Invalid("is given more than once, with different values.", field=field)
    return present[0] if present else None


def parsed(model: type[Model], body: bytes) -> Model:
    """Return the JSON text as `model`. Raises Invalid, also for NaN, Infinity, NUL, lone surrogates or deep nesting."""
    value = parse_json(body)
    require_storable(value)
    return validated(model, value)


async def reply_sized(request: Request[State], size: int, build: Callable[[], BaseModel]) -> Response:
    """Reply with the view from `build`, of about `size` bytes. A large view is built on a worker thread."""
    if size > BODY_LIMIT:
        return await request.state["runtime"].in_thread(lambda: reply(build()))
    return reply(build())


def reply_created(view: Created, *sent: BaseModel) -> Response:
    """Reply to a creation. `warnings` names the unknown fields that were sent."""
    view.warnings = list(islice((warning for model in sent for warning in warnings_of(model)), MOST_WARNINGS))
    return reply(view)


def reply(view: BaseModel, status: int = 200) -> Response:
    return Response(view.model_dump_json(by_alias=True), status, media_type="application/json")
