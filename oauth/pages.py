"""The pages of the flow: the consent page, the decision, and a page that says why a request cannot continue.

Before sign-in, nothing redirects to the client; afterwards, errors are sent to the client.
"""

import hmac
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes, urlsplit

from authlib.oauth2.base import OAuth2Error
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from oauth import authorization
from oauth.authorization import Consent
from oauth.errors import options
from oauth.requests import QUERY_LIMIT, Fields, fields_of, query_of, read_form
from server.domain.client_names import shown_name
from server.domain.grants import authorizations, redirect_uris
from server.errors import Forbidden, Invalid, ServiceError, TooLarge, Unauthenticated
from server.models import ClientKind
from server.network.urls import origin_of_page
from server.principal import Scope
from server.shell.runtime import Call, State
from server.web import csp
from server.web.dispatch import Methods
from server.web.request_credentials import credential_of, own_origins
from server.web.statuses import answered
from server.web.templating import environment

HEADERS = {"Content-Security-Policy": csp.FLOW}
URL_CHARACTERS = "%/:?#[]@!$&'()*+,;=~"
UNESCAPED = "/:?@!$'()*,;=~"
"""URL characters that need no escape in the value of a query parameter."""

SCOPE_LABELS = {
    Scope.READ: "See and search memories",
    Scope.WRITE: "Add, edit and delete memories",
}


class Visitor(NamedTuple):
    """A person who is signed in, with the call and the value of their session cookie."""

    call: Call
    session_value: str


class ForPeople(Methods):
    """The endpoint of a page. It shows every failure as a page, and never redirects after one."""

    async def answer(self, request: Request[State]) -> Response:
        if request.method == "OPTIONS":
            return options(self)
        try:
            return await super().answer(request)
        except HTTPException as error:
            return problem(error.status_code, "This method is not allowed here.", error.headers)
        except OAuth2Error as error:
            return problem(400, error.get_error_description())
        except ServiceError as error:
            status, headers = answered(error)
            return problem(status, error.detail, headers)


async def authorize(request: Request[State]) -> Response:
    """Show the consent page for an authorization request, or sign the person in first (OAuth 2.1 section 4.1.1)."""
    query = query_of(request)
    if len(unquote_to_bytes(query)) > QUERY_LIMIT:
        raise TooLarge(f"This request is too long: send at most {QUERY_LIMIT // 1000} KB.")
    runtime, fields = request.state["runtime"], fields_of(query)
    visitor, sign_in = await visitor_of(request), sign_in_url(f"{request.url.path}?{query}")
    if visitor is None:
        await runtime.read(authorization.check_before_sign_in, runtime.settings, fields)
        return redirect_to(sign_in)
    await authorization.refresh_document(visitor.call, fields.get("client_id", [""])[0])
    try:
        consent = await visitor.call.run(authorization.prepare_consent, runtime.settings, fields)
    except OAuth2Error as error:
        if not error.redirect_uri:
            raise
        answer = {"error": error.error, "error_description": error.get_error_description()}
        return redirect_to(authorization.answer_url(runtime.settings, error.redirect_uri, error.state, **answer))
    context = context_of(visitor, consent) | {"other_account": f"{sign_in}&switch=1"}
    html = await runtime.in_thread(render, "consent.html", context)
    return HTMLResponse(html, headers=HEADERS)


async def decide(request: Request[State]) -> Response:
    """Allow or deny access. The form holds only the decision, the project and whether to grant less than was asked;
    the server stored the rest.
    """
    visitor = await visitor_of(request)
    if visitor is None:
        raise Forbidden("You are signed out. Go back to the application and connect again.")
    request_id = request.path_params["request_id"]
    form = await read_form(request)
    require_own_form(request, visitor, request_id, form)
    settings = visitor.call.runtime.settings
    match form.get("decision"), form.get("project_id"):
        case ["allow"], [project_id]:
            allowed, code = await visitor.call.run(
                authorizations.approve, request_id, project_id, settings.code_seconds, read_only=is_read_only(form)
            )
            return redirect_to(authorization.answer_url(settings, allowed.redirect_uri, allowed.state, code=code))
        case ["deny"], _:
            denied = await visitor.call.run(authorizations.deny, request_id)
            return redirect_to(
                authorization.answer_url(settings, denied.redirect_uri, denied.state, error="access_denied")
            )
        case ["allow"], _:
            raise Invalid("choose the project to connect.", field="project_id")
    raise Invalid("choose allow or deny.", field="decision")


def is_read_only(form: Fields) -> bool:
    """Return whether the person lets the application only read. A form without the choice grants what was asked.

    Raises Invalid.
    """
    match form.get("access", ["write"]):
        case ["read"]:
            return True
        case ["write"]:
            return False
    raise Invalid("choose what the application may do.", field="access")


async def visitor_of(request: Request[State]) -> Visitor | None:
    """Return the signed-in person, or None. Raises Forbidden for an API key, a token or another site's form."""
    runtime = request.state["runtime"]
    try:
        credential = credential_of(request, runtime.settings)
        principal = await runtime.authenticate(credential)
    except Unauthenticated:
        return None
    if credential is None or not principal.is_session:
        raise Forbidden("Only a person who is signed in can connect an application.")
    return Visitor(Call(runtime, principal), credential.value)


def require_own_form(request: Request[State], visitor: Visitor, request_id: str, form: Fields) -> None:
    """Raises Forbidden unless the form comes from the page that we rendered for this request and this session."""
    referrer = request.headers.get("referer")
    proof = form.get("proof", [""])[0].encode()
    is_ours = not referrer or origin_of_page(referrer) in own_origins(visitor.call.runtime.settings)
    if not is_ours or not hmac.compare_digest(proof, proof_of(visitor, request_id).encode()):
        raise Forbidden("This form was not sent from our consent page. Connect the application again.")


def proof_of(visitor: Visitor, request_id: str) -> str:
    """Return the token against cross-site forms: an HMAC of the request's id, keyed by the session."""
    key = visitor.session_value.encode("utf-8", "surrogatepass")
    return hmac.new(key, request_id.encode(), "sha256").hexdigest()


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    html = render("problem.html", {"detail": detail})  # at once: there may be no thread for pages
    return HTMLResponse(html, status, HEADERS | dict(headers or {}))


def redirect_to(url: str) -> Response:
    """Redirect with 303, so that the browser does not send the form's fields to the client."""
    return Response(status_code=303, headers={"Location": url})


def sign_in_url(path: str) -> str:
    """Return the URL of the sign-in page, which then redirects to `path`. Before sign-in, the server stores nothing."""
    return "/sign-in?next=" + quote(quote(path, safe=URL_CHARACTERS), safe=UNESCAPED)


def render(template: str, context: dict[str, object]) -> str:
    return environment("oauth", "server").get_template(template).render(context)


def risks_of(redirect_uri: str) -> dict[str, object]:
    """Return who else could intercept the answer: a local program, an app with this scheme, or the network."""
    return {
        "is_local": redirect_uris.is_local(redirect_uri),
        "app_scheme": redirect_uri.partition(":")[0] if redirect_uris.is_app(redirect_uri) else None,
        "is_plain": redirect_uris.is_plain_private(redirect_uri),
    }


def context_of(visitor: Visitor, consent: Consent) -> dict[str, object]:
    """Return what the consent page shows. Of the client's claims about itself, it includes only the name."""
    client, redirect_uri = consent.client, consent.request.redirect_uri
    is_document = client.kind == ClientKind.DOCUMENT
    choices = [(choice, Scope.WRITE in choice.scopes) for choice in consent.choices]
    return {
        "name": shown_name(client),
        "host": urlsplit(client.id).netloc if is_document else None,
        "is_configured": client.kind == ClientKind.CONFIGURED,
        "destination": redirect_uris.destination(redirect_uri),
        **risks_of(redirect_uri),
        "permissions": [SCOPE_LABELS[scope] for scope in consent.scopes],
        "wants_write": Scope.WRITE in consent.scopes,
        "choices": choices,
        "may_narrow": any(may_write for _, may_write in choices),
        "was_read_only": consent.was_read_only,
        "email": consent.user.email,
        "action": f"/oauth/consent/{consent.request.id}",
        "proof": proof_of(visitor, consent.request.id),
    }
