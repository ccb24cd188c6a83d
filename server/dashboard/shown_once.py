"""New secrets, which a page shows only once. The form that creates one keeps it in a sealed cookie and redirects to the
page: reloading that page sends no form again, so it does not create another secret.
"""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.dashboard.cookies import SealedValues, sealed, set_sealed, unsealed
from server.runtime import Call, State

COOKIE = "shown_once"


def show_once(call: Call, path: str, query: str = "", **values: str) -> Response:
    """Redirect to the page at `path`. Its template has `values` as `once`, the first time that it is opened."""
    response = RedirectResponse(path + query, 303)
    kept = values | {"path": path, "session": call.principal.credential_id}
    set_sealed(response, call.runtime, COOKIE, path, sealed(call.runtime, COOKIE, kept))
    return response


def kept_values(http: Request[State], call: Call) -> SealedValues:
    """Return what this browser keeps for this page and session, or {}."""
    values = unsealed(http, COOKIE) or {}
    is_here = values.get("path") == http.url.path and values.get("session") == call.principal.credential_id
    return values if is_here else {}


def forget_values(response: Response, http: Request[State], call: Call) -> None:
    """Delete the cookie for this page."""
    set_sealed(response, call.runtime, COOKIE, http.url.path, "")
