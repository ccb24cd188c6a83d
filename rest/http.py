"""Between HTTP and the operations: who is calling, the parsed body or query, the answer."""

from typing import TypeVar, get_origin

from pydantic import BaseModel
from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import Response

from server.domain.access import Action, require_project, require_session
from server.errors import Invalid
from server.request_credentials import credential_of
from server.runtime import Call, State
from server.wire import read_body, require_json, require_storable, validated

Model = TypeVar("Model", bound=BaseModel)
Value = TypeVar("Value")
BODY_LIMIT = 100_000
BULK_BODY_LIMIT = 10_000_000


async def call_of(request: Request[State]) -> Call:
    """The authenticated call; raises Unauthenticated before the body is read."""
    runtime = request.state["runtime"]
    principal = await runtime.authenticate(credential_of(request, runtime.settings))
    return Call(runtime, principal)


async def session_call_of(request: Request[State]) -> Call:
    """As `call_of`, for what only a signed-in person may do. Raises Forbidden."""
    call = await call_of(request)
    require_session(call.principal)
    return call


async def person_call_of(request: Request[State]) -> Call:
    """As `call_of`, for what only a signed-in person may do in the path's project, whatever the body says.

    Raises NotFound for a project that the credential does not reach, Forbidden for a key or token of its own.
    """
    call = await call_of(request)
    if not call.principal.is_session:
        await call.read(require_project, request.path_params["project_id"], Action.SEE)
        require_session(call.principal)
    return call


async def read(request: Request[State], model: type[Model], limit: int = BODY_LIMIT) -> Model:
    """The JSON body as `model`. Raises Unsupported, TooLarge (over `limit` bytes), Invalid with the field and why."""
    require_json(request)
    body = await read_body(request, limit)
    if len(body) > BODY_LIMIT:  # a tenth of a second of work for the loop
        return await request.state["runtime"].in_thread(parsed, model, body)
    return parsed(model, body)


async def read_if_any(request: Request[State], model: type[Model]) -> Model:
    """As `read`, for a method whose body may be missing: what a caller did say there must count."""
    length, chunked = request.headers.get("content-length", "0"), "transfer-encoding" in request.headers
    return await read(request, model) if chunked or length != "0" else model()


def read_query(request: Request[State], model: type[Model]) -> Model:
    """The query parameters as `model`: a list may be repeated, all else only with the same value. Raises Invalid."""
    values: dict[str, object] = {}
    for name, field in model.model_fields.items():
        if given := request.query_params.getlist(name):
            values[name] = given if get_origin(field.annotation) is tuple else agreed(name, *given)
    require_storable(values)
    return validated(model, values)


def agreed(field: str, *given: Value | None) -> Value | None:
    """The one value that is given, anywhere. Raises Invalid for two that differ."""
    values = [value for value in given if value is not None]
    if any(value != values[0] for value in values):
        raise Invalid("is given more than once, with different values.", field=field)
    return values[0] if values else None


def parsed(model: type[Model], body: bytes) -> Model:
    """JSON text as `model`: no NaN or Infinity, no lone surrogates, no NUL, no depth that could hurt."""
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Invalid(f"The body is not valid JSON: {_first_words(str(error))}.") from None
    require_storable(value)
    return validated(model, value)


def reply(view: BaseModel, status: int = 200) -> Response:
    return Response(view.model_dump_json(by_alias=True), status, media_type="application/json")


def _first_words(text: str) -> str:
    return text.partition(" at line")[0]
