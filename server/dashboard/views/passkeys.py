"""Passkeys: sign in with one, and manage the account's passkeys."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.dashboard.cookies import set_sealed
from server.dashboard.pages import HOME, PageRequest, redirect
from server.dashboard.session_cookies import continue_sign_in
from server.dashboard.sign_in_ways import (
    CHALLENGE_COOKIE,
    SIGN_IN,
    challenge_for,
    keep_challenge,
    kept_challenge,
    relying_party,
)
from server.dashboard.views.account import ACCOUNT
from server.dashboard.views.entrance import browser_info_of, next_of, read_form, render_page
from server.domain.people import passkeys
from server.domain.people.passkeys import PasskeyRefused, PasskeyUnusable
from server.errors import ServiceError
from server.shell.runtime import State
from server.web import attempts
from server.web.dispatch import Methods

PASSKEYS = f"{ACCOUNT}/passkeys"


async def sign_in(request: Request[State]) -> Response:
    """Sign in with a passkey's response to our page's challenge, and redirect to `next`."""
    fields = await read_form(request)
    runtime = request.state["runtime"]
    party, challenge = relying_party(runtime.settings), kept_challenge(request, "")
    try:
        async with attempts.signing_in_anonymously(request):
            if party is None or challenge is None:
                raise PasskeyRefused
            answer = await runtime.read(passkeys.verify, fields.get("credential", ""), challenge, party)
            result = await runtime.run(passkeys.sign_in, answer, browser_info_of(request))
    except ServiceError as error:
        return await render_page(request, "sign_in.html", error, fields)
    response = await continue_sign_in(request, result, next_of(request, fields))
    set_sealed(response, runtime, CHALLENGE_COOKIE, SIGN_IN, "")
    return response


async def show(request: PageRequest) -> Response:
    """Show the account's passkeys, and what the browser needs to create another."""
    runtime, session_id = request.call.runtime, request.call.principal.credential_id
    party = relying_party(runtime.settings)
    challenge = challenge_for(request.http, session_id)
    response = await request.render(
        "passkeys.html",
        passkeys=await request.call.read(passkeys.list_own),
        options=await request.call.read(passkeys.creation_options, party, challenge) if party else None,
        most=passkeys.MOST,
    )
    keep_challenge(response, runtime, challenge, HOME, session_id)
    return response


async def add(request: PageRequest) -> Response:
    """Add the passkey that the browser created for our page's challenge."""
    runtime = request.call.runtime
    party = relying_party(runtime.settings)
    challenge = kept_challenge(request.http, request.call.principal.credential_id)
    if party is None or challenge is None:
        raise PasskeyUnusable
    name, credential = request.text("name"), request.text("credential")
    await request.call.run(passkeys.add, name, credential, challenge, party, request.call.mailer)
    response = redirect(PASSKEYS, "passkey-added")
    set_sealed(response, runtime, CHALLENGE_COOKIE, HOME, "")
    return response


async def remove(request: PageRequest) -> Response:
    await request.call.run(passkeys.remove, request.path_param("passkey_id"), request.call.mailer)
    return redirect(PASSKEYS, "passkey-deleted")


ROUTES = [Route("/sign-in/passkey", Methods({"POST": sign_in}))]
