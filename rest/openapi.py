"""The OpenAPI 3.1 document of the served endpoints, and a page that shows it."""

import functools
import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rest.endpoint import Endpoint, Reach, Resource
from rest.examples import curl_of, example_of
from server import __version__
from server.models.base import JSON, JsonObject
from server.shell.runtime import State
from server.web import csp
from server.web.templating import environment

DESCRIPTION = """Store memories, find them by meaning, delete them permanently.

Send an API key or an OAuth 2.1 access token as `Authorization: Bearer …`, a key also as `X-API-Key: …`, or a signed-in
session as its cookie or as `Authorization: Session …`. An application gets its token from the OAuth endpoints that
`/.well-known/oauth-authorization-server` names.
Every error is `{"detail": "<one sentence>"}`. Every answer has an `X-Request-ID` header. Times are UTC, ISO 8601."""
FAILURES = {
    400: "The request is not valid. The sentence names the field and the reason.",
    401: "The credential is missing, unknown, expired or revoked.",
    403: "The credential or the role does not allow this, or the project is full.",
    404: "Not found, or not visible to you.",
    409: "The request conflicts with stored data.",
    410: "This has expired or ended.",
    408: "The request body arrived too slowly.",
    413: "The request is too large.",
    415: "The body is not JSON.",
    429: "Too many requests.",
    500: "Something went wrong on the server. The sentence names the request id.",
    503: "The server cannot do this now. Nothing was changed. Try again.",
}
SESSION = (
    "a signed-in session, which `POST /sign-in` with the form fields `email` and `password` sets; "
    "programs may send it as `Authorization: Session <value>`"
)
SCHEMAS = "#/components/schemas/"

_ERROR: JsonObject = {"type": "object", "properties": {"detail": {"type": "string"}}, "required": ["detail"]}
_SECURITY: dict[Reach, list[JsonObject]] = {
    Reach.ANYBODY: [],
    Reach.CREDENTIAL: [{"bearer": []}, {"api_key": []}, {"session": []}],
    Reach.SESSION: [{"session": []}],
}
_PATH_PARAMETER = re.compile(r"{(\w+)}")
_IDEMPOTENCY_KEY: JsonObject = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Within 24 hours, the same key and body get the first answer again, and nothing new is stored.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}

Schemas = dict[tuple[type, JsonSchemaMode], JsonObject]


async def document(request: Request[State]) -> Response:
    """Return this API as an OpenAPI 3.1 document."""
    return Response(_text(_served(request), _cookie(request)), media_type="application/json")


async def page(request: Request[State]) -> Response:
    """Show this API as a page."""
    text = _html(_served(request), _cookie(request), request.state["runtime"].settings.public_url)
    return Response(text, media_type="text/html", headers={"Content-Security-Policy": csp.DOCS})


async def style(request: Request[State]) -> Response:
    """Return the style sheet of the page, in the theme that the person chose in the dashboard."""
    text = environment("rest").get_template("docs.css").render(theme=request.cookies.get("theme", ""))
    return Response(text, media_type="text/css")


def describe(endpoints: tuple[Endpoint, ...], session_cookie: str) -> JsonObject:
    """Return the OpenAPI document of the endpoints. `session_cookie` is the name of the session cookie."""
    models, definitions = _schemas(endpoints)
    paths: dict[str, dict[str, JSON]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, models, definitions)
    return {
        "openapi": "3.1.0",
        "info": {"title": "SelfMemory Server", "version": __version__, "description": DESCRIPTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(_tag(endpoint.path) for endpoint in endpoints)],
        "paths": paths,
        "components": {
            "schemas": {**definitions, "Error": _ERROR},
            "responses": {f"Failure{status}": _failure(status) for status in FAILURES},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "an API key or an access token"},
                "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "an API key"},
                "session": {"type": "apiKey", "in": "cookie", "name": session_cookie, "description": SESSION},
            },
        },
    }


def _schemas(endpoints: tuple[Endpoint, ...]) -> tuple[Schemas, JsonObject]:
    """Return a reference to the schema of each body and answer, and the definitions that they refer to."""
    used: list[tuple[type[BaseModel], JsonSchemaMode]] = []
    for endpoint in endpoints:
        used += [(endpoint.body, "validation")] if endpoint.body else []
        used += [(endpoint.answer, "serialization")] if issubclass(endpoint.answer, BaseModel) else []
    models, document = models_json_schema(list(dict.fromkeys(used)), ref_template=SCHEMAS + "{model}")
    definitions = document.get("$defs", {})
    _describe_defaults(definitions)
    return {(model, mode): schema for (model, mode), schema in models.items()}, definitions


def _describe_defaults(definitions: JsonObject) -> None:
    """Say each default in words: openapi-typescript takes a property with a default for one that is always there, and
    then requires it in a body.
    """
    schemas: Any = definitions
    for schema in schemas.values():
        for form in schema.get("properties", {}).values():
            default = form.pop("default", None)
            if default not in (None, "", []):
                words = f"(default `{json.dumps(default, ensure_ascii=False)}`)"
                form["description"] = f"{form.get('description', '')} {words}".lstrip()


def _operation(endpoint: Endpoint, models: Schemas, definitions: JsonObject) -> JsonObject:
    operation: JsonObject = {
        "operationId": endpoint.name,
        "tags": [_tag(endpoint.path)],
        "summary": inspect.cleandoc(endpoint.handler.__doc__ or ""),
        "security": _SECURITY[endpoint.reach],
        "parameters": [*_parameters(endpoint, definitions)],
        "responses": _responses(endpoint, models),
    }
    if endpoint.body:
        schema = models[endpoint.body, "validation"]
        operation["requestBody"] = {
            "required": not endpoint.may_be_empty,
            "content": {"application/json": {"schema": schema, "example": example_of(schema, definitions)}},
        }
    return operation


def _tag(path: str) -> str:
    first, _, rest = path.strip("/").partition("/")
    if first == "v1":
        return "Python client"
    return rest.partition("/")[0].replace("-", " ").capitalize() if first == "api" else "Service"


def _parameters(endpoint: Endpoint, definitions: JsonObject) -> Iterator[JsonObject]:
    for name in _PATH_PARAMETER.findall(endpoint.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    if endpoint.query:
        schema = endpoint.query.model_json_schema(ref_template=SCHEMAS + "{model}")
        definitions.update(schema.get("$defs", {}))
        for name, form in schema["properties"].items():
            described = {"description": form.pop("description")} if "description" in form else {}
            yield {
                "name": name,
                "in": "query",
                "required": name in schema.get("required", ()),
                **described,
                "schema": form,
            }
    if endpoint.is_idempotent:
        yield _IDEMPOTENCY_KEY


def _responses(endpoint: Endpoint, models: Schemas) -> JsonObject:
    schema: JsonObject = {"type": "object" if endpoint.media == "application/json" else "string"}
    if issubclass(endpoint.answer, BaseModel):
        schema = models[endpoint.answer, "serialization"]
    responses: JsonObject = {"200": {"description": "Done.", "content": {endpoint.media: {"schema": schema}}}}
    for status in sorted(_failures(endpoint)):
        responses[str(status)] = {"$ref": f"#/components/responses/Failure{status}"}
    return responses


def _failures(endpoint: Endpoint) -> set[int]:
    statuses = {429, 500, *endpoint.failures}
    statuses |= {408, 413, 415} if endpoint.body or endpoint.reads_body or endpoint.takes_nothing else set()
    statuses |= {400, 401, 403, 404, 503} if endpoint.reach is not Reach.ANYBODY else set()
    return statuses | ({409} if endpoint.is_idempotent else set())


def _failure(status: int) -> JsonObject:
    headers: dict[int, JsonObject] = {
        401: {"WWW-Authenticate": {"schema": {"type": "string"}}},
        429: {"Retry-After": {"description": "seconds", "schema": {"type": "integer", "minimum": 1}}},
    }
    content: JsonObject = {"application/json": {"schema": {"$ref": f"{SCHEMAS}Error"}}}
    failure: JsonObject = {"description": FAILURES[status], "content": content}
    return failure | {"headers": headers[status]} if status in headers else failure


@functools.cache  # these long texts take time to build, and anyone may request them
def _text(endpoints: tuple[Endpoint, ...], session_cookie: str) -> str:
    return json.dumps(describe(endpoints, session_cookie), ensure_ascii=False)


@functools.cache
def _html(endpoints: tuple[Endpoint, ...], session_cookie: str, base: str) -> str:
    described: Any = describe(endpoints, session_cookie)
    commands = {
        operation["operationId"]: curl_of(method, path, operation, base)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    }
    return environment("rest").get_template("docs.html").render(document=described, commands=commands)


def _served(request: Request[State]) -> tuple[Endpoint, ...]:
    """Return the endpoints that this app serves, so that the document lists no others."""
    resources = {route.endpoint: None for route in request.app.routes if isinstance(route, Route)}
    return tuple(
        endpoint for resource in resources if isinstance(resource, Resource) for endpoint in resource.endpoints.values()
    )


def _cookie(request: Request[State]) -> str:
    return request.state["runtime"].settings.session_cookie
