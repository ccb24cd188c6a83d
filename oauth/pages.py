"""What people see of the flow: the consent page, its answer, and why a request cannot go on.

Before somebody has signed in nothing leads to the client; afterwards the client is told of its errors.
"""

import functools
import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from authlib.oauth2.base import OAuth2Error
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from oauth import authorization
from oauth.authorization import Consent
from oauth.requests import QUERY_LIMIT, Fields, fields_of, read_form
from server import csp
from server.domain.grants import authorizations, redirect_uris
from server.domain.grants.clients import shown_name
from server.errors import Forbidden, Invalid, ServiceError, TooLarge, Unauthenticated
from server.models import ClientKind
from server.principal import Scope as Right
from server.request_credentials import credential_of, own_origins
from server.runtime import Call, State
from server.statuses import retry_after, status_of

HEADERS = {
    "Content-Security-Policy": csp.FLOW,
    # A client that opened this page as a pop-up hears from it again when it comes back to the client's own.
    "Cross-Origin-Opener-Policy": "unsafe-none",
}
IN_WORDS = {
    Right.READ: "See and search memories",
    Right.WRITE: "Add, change and delete them",
}


class Visitor(NamedTuple):
    """Somebody signed in, in this browser; `value` is the session's own, which proves where a form comes from."""

    call: Call
    value: str


Handler = Callable[[Request[State]], Awaitable[Response]]


class ForPeople:
    """One method at one path, and HEAD with GET; every failure is a page, and none leads anywhere."""

    def __init__(self, handler: Handler, method: str) -> None:
        self.handler = handler
        self.methods = ("GET", "HEAD") if method == "GET" else (method,)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request: Request[State] = Request(scope, receive)
        response = await self._answer(request)
        await response(scope, receive, send)

    async def _answer(self, request: Request[State]) -> Response:
        if request.method not in self.methods:
            allowed = {"Allow": ", ".join(self.methods)}
            return await problem(request, 405, "This address does not work that way.", allowed)
        try:
            return await self.handler(request)
        except OAuth2Error as error:
            return await problem(request, 400, error.get_error_description())
        except ServiceError as error:
            return await problem(request, status_of(error), error.detail, retry_after(error))


async def authorize(request: Request[State]) -> Response:
    """Where clients send people (OAuth 2.1 section 4.1.1)."""
    return await _open(request, request.url.query)


async def resume(request: Request[State]) -> Response:
    """The same, once its user has signed in."""
    runtime = request.state["runtime"]
    query = await runtime.read(authorizations.parked_query, request.path_params["parked_id"])
    return await _open(request, query)


async def decide(request: Request[State]) -> Response:
    """Allow or deny: the form says only that, and which project; what is granted was kept on the server."""
    visitor = await visitor_of(request)
    if visitor is None:
        raise Forbidden("You are signed out: go back to the application and connect again.")
    request_id = request.path_params["request_id"]
    form = await read_form(request)
    require_own_form(request, visitor, request_id, form)
    settings = visitor.call.runtime.settings
    match form.get("decision"), form.get("project_id"):
        case ["allow"], [project_id]:
            allowed, code = await visitor.call.run(
                authorizations.approve, request_id, project_id, settings.code_seconds
            )
            return leave(authorization.answer_url(settings, allowed.redirect_uri, allowed.state, code=code))
        case ["deny"], _:
            denied = await visitor.call.run(authorizations.deny, request_id)
            return leave(authorization.answer_url(settings, denied.redirect_uri, denied.state, error="access_denied"))
        case ["allow"], _:
            raise Invalid("choose the project to connect.", field="project_id")
    raise Invalid("allow or deny.", field="decision")


async def visitor_of(request: Request[State]) -> Visitor | None:
    """None when nobody is signed in. Raises Forbidden for a key or token, and for a form of another site."""
    runtime = request.state["runtime"]
    try:
        found = credential_of(request, runtime.settings)
        principal = await runtime.authenticate(found)
    except Unauthenticated:
        return None
    if found is None or not principal.is_session:
        raise Forbidden("Only a person who is signed in can connect an application.")
    return Visitor(Call(runtime, principal), found.value)


def require_own_form(request: Request[State], visitor: Visitor, request_id: str, form: Fields) -> None:
    """The form came from our page, for this request, in this session. Raises Forbidden."""
    referrer = request.headers.get("referer")
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(referrer)) if referrer else None
    proof = form.get("proof", [""])[0].encode()
    ours = origin is None or origin in own_origins(visitor.call.runtime.settings)
    if not ours or not hmac.compare_digest(proof, proof_of(visitor, request_id).encode()):
        raise Forbidden("This form does not come from the page that you were shown: connect again.")


def proof_of(visitor: Visitor, request_id: str) -> str:
    """What only a page made for this session and request can hold."""
    return hmac.new(visitor.value.encode("utf-8", "surrogatepass"), request_id.encode(), "sha256").hexdigest()


async def problem(
    request: Request[State], status: int, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    html = await request.state["runtime"].in_thread(render, "problem.html", {"detail": detail})
    return HTMLResponse(html, status, HEADERS | dict(headers or {}))


def leave(url: str) -> Response:
    """To the client; 303 so that nothing of a form goes along."""
    return Response(status_code=303, headers={"Location": url, "Cross-Origin-Opener-Policy": "unsafe-none"})


def render(template: str, context: dict[str, object]) -> str:
    return _environment().get_template(template).render(context)


async def _open(request: Request[State], query: str) -> Response:
    if len(query) > QUERY_LIMIT:
        raise TooLarge("This request is too long.")
    runtime, fields = request.state["runtime"], fields_of(query)
    visitor = await visitor_of(request)
    if visitor is None:
        await runtime.read(authorization.glance, runtime.settings, fields)
        parked_id = await runtime.run(authorizations.park, query)
        return leave("/sign-in?" + urlencode({"next": f"/oauth/authorize/{parked_id}"}))
    await authorization.know_client(visitor.call, fields.get("client_id", [""])[0])
    try:
        consent = await visitor.call.run(authorization.consider, runtime.settings, fields)
    except OAuth2Error as error:
        if not error.redirect_uri:
            raise
        told = {"error": error.error, "error_description": error.get_error_description()}
        return leave(authorization.answer_url(runtime.settings, error.redirect_uri, error.state, **told))
    html = await runtime.in_thread(render, "consent.html", context_of(visitor, consent))
    return HTMLResponse(html, headers=HEADERS)


def context_of(visitor: Visitor, consent: Consent) -> dict[str, object]:
    """What the consent page shows: nothing of the client's own but its name and what it cannot invent."""
    client, uri = consent.client, consent.request.redirect_uri
    is_document = client.kind == ClientKind.DOCUMENT
    return {
        "name": shown_name(client),
        "host": urlsplit(client.id).netloc if is_document else None,
        "is_configured": client.kind == ClientKind.CONFIGURED,
        "place": redirect_uris.destination(uri),
        "is_local": all(redirect_uris.is_local(one) for one in client.redirect_uris),
        "rights": [IN_WORDS[scope] for scope in consent.scopes],
        "wants_write": Right.WRITE in consent.scopes,
        "choices": [(choice, Right.WRITE in choice.scopes) for choice in consent.choices],
        "email": consent.user.email,
        "action": f"/oauth/consent/{consent.request.id}",
        "proof": proof_of(visitor, consent.request.id),
    }


@functools.cache
def _environment() -> Environment:
    return Environment(
        loader=ChoiceLoader([PackageLoader("oauth"), PackageLoader("server")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
