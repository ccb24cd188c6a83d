"""Sign-in through the identity provider: the redirect to its page, and the return."""

import hmac
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from server.dashboard.cookies import MAX_COOKIE, sealed, set_sealed, unsealed
from server.dashboard.session_cookies import continue_sign_in
from server.dashboard.sign_in_ways import SIGN_IN
from server.dashboard.views.entrance import SWITCH, browser_info_of, local_path, next_of, read_form, render_page
from server.domain import external_sign_in
from server.errors import Invalid, NotFound, ServiceError, Unauthenticated
from server.shell.runtime import State
from server.web import attempts
from server.web.dispatch import Methods

COOKIE = "provider_sign_in"
CODE_LENGTH = 2000
STARTED_ELSEWHERE = "This sign-in took too long, or it began in another browser. Try again."


async def begin(request: Request[State]) -> Response:
    """Redirect to the provider. The browser keeps the state, the nonce, the verifier, and the page to return to."""
    fields = await read_form(request)
    runtime = request.state["runtime"]
    if runtime.provider is None:
        raise NotFound
    try:
        async with attempts.signing_in_anonymously(request):
            url, attempt = await runtime.provider.begin(switches=SWITCH in request.query_params)
        cookie = sealed(runtime, COOKIE, attempt._asdict() | {"next": _packed(next_of(request, fields))})
        if len(cookie) > MAX_COOKIE:
            raise Invalid("The link that brought you here is too long. Sign in without it, then open it again.")
    except ServiceError as error:
        return await render_page(request, "sign_in.html", error, fields)
    response = RedirectResponse(url, 303)
    set_sealed(response, runtime, COOKIE, SIGN_IN, cookie)
    return response


async def finish(request: Request[State]) -> Response:
    """Sign in with the provider's response, and redirect to the page where the sign-in began."""
    runtime = request.state["runtime"]
    if runtime.provider is None:
        raise NotFound
    values = unsealed(request, COOKIE)
    query = request.query_params
    path = local_path(_unpacked(values["next"])) if values else ""
    is_own = values is not None and hmac.compare_digest(values["state"].encode(), query.get("state", "").encode())
    try:
        async with attempts.signing_in_anonymously(request):
            if values is None or not is_own:
                raise Unauthenticated(STARTED_ELSEWHERE)
            code = query.get("code", "")
            if not code or len(code) > CODE_LENGTH or not (code.isascii() and code.isprintable()):
                raise runtime.provider.refused(query.get("error", "no code"))
            external = await runtime.provider.finish(runtime.provider.attempt(values), code, query.get("iss"))
        result = await runtime.run(
            external_sign_in.sign_in,
            runtime.settings.sign_up,
            external,
            browser_info_of(request),
            runtime.mailer,
        )
    except ServiceError as error:
        response: Response = await render_page(request, "sign_in.html", error, {"next": path})
    else:
        response = await continue_sign_in(request, result, path)
    if is_own:  # otherwise the cookie belongs to a sign-in that began later, in another tab
        set_sealed(response, runtime, COOKIE, SIGN_IN, "")
    return response


def _packed(path: str) -> str:
    """Return the path compressed, because it can contain an OAuth request and cookies are small."""
    return urlsafe_b64encode(zlib.compress(path.encode(), 9)).decode()


def _unpacked(text: str) -> str:
    return zlib.decompress(urlsafe_b64decode(text)).decode()


ROUTES = [
    Route("/sign-in/provider", Methods({"POST": begin})),
    Route("/sign-in/provider/callback", Methods({"GET": finish})),
]
