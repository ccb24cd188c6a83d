"""New secrets, which a page shows only once. The form that creates one keeps it in a sealed cookie and redirects to the
page: reloading that page sends no form again, so it does not create another secret. The address names the cookie, so
that two tabs can each create a secret.
"""

import secrets

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.dashboard.cookies import SealedValues, sealed, set_sealed, unsealed
from server.shell.runtime import Call, State

COOKIE = "shown_once"
PARAMETER = "new"


def show_once(call: Call, path: str, query: str = "", **values: str) -> Response:
    """Redirect to the page at `path`. Its template has `values` as `once`, the first time that it is opened."""
    number = secrets.token_hex(4)
    response = RedirectResponse(f"{path}{query}{'&' if query else '?'}{PARAMETER}={number}", 303)
    kept = values | {"path": path, "session": call.principal.credential_id}
    cookie = f"{COOKIE}_{number}"
    set_sealed(response, call.runtime, cookie, path, sealed(call.runtime, cookie, kept))
    return response


def kept_values(http: Request[State], call: Call) -> SealedValues:
    """Return what this browser keeps for this page and session, or {}."""
    values = unsealed(http, _cookie_of(http)) or {}
    is_here = values.get("path") == http.url.path and values.get("session") == call.principal.credential_id
    return values if is_here else {}


def forget_values(response: Response, http: Request[State], call: Call) -> None:
    """Delete the cookie for this page."""
    set_sealed(response, call.runtime, _cookie_of(http), http.url.path, "")


def _cookie_of(http: Request[State]) -> str:
    return f"{COOKIE}_{http.query_params.get(PARAMETER, '')}"
