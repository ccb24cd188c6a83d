"""The page between a sensitive form and its effect: it asks for a proof of identity, then sends the same form again."""

from starlette.responses import Response

from server.dashboard.pages import HOME, PageRequest
from server.dashboard.sign_in_ways import challenge_for, keep_challenge, kept_challenge, relying_party
from server.domain.people import passkeys, step_up
from server.domain.people.passkeys import PasskeyRefused
from server.domain.people.step_up import ProofNeeded, WrongProof
from server.errors import RateLimited, ServiceError
from server.web import attempts

PREFIX = "proof_"
"""Fields of the proof begin with this. All other fields are sent again unchanged."""


async def unless_recent(request: PageRequest) -> Response | None:
    """Let the form pass if the session has a proof from the last ten minutes. Otherwise do the same as `always`."""
    return None if await request.call.read(step_up.is_fresh) else await always(request)


async def always(request: PageRequest) -> Response | None:
    """Let the form pass if it carries the password or a code. Otherwise return the page that asks for them."""
    if not any(request.text(f"{PREFIX}{name}") for name in ("password", "code", "credential")):
        return await _ask(request, ProofNeeded())
    try:
        async with attempts.proving(request.call.runtime, request.call.principal.user_id):
            if not await _is_proved(request):
                raise WrongProof
    except PasskeyRefused as error:
        return await _ask(request, WrongProof(error.detail))
    except (RateLimited, WrongProof) as error:
        return await _ask(request, error)
    return None


async def _is_proved(request: PageRequest) -> bool:
    """Raises RateLimited, PasskeyRefused."""
    call, credential = request.call, request.text(f"{PREFIX}credential")
    if not credential:
        password, code = request.text(f"{PREFIX}password"), request.text(f"{PREFIX}code")
        return await call.run(step_up.prove, password, code, call.runtime.second_factor_seal, call.mailer)
    party, challenge = relying_party(call.runtime.settings), kept_challenge(request.http, call.principal.credential_id)
    if party is None or challenge is None:
        raise PasskeyRefused
    answer = await call.runtime.read(passkeys.verify, credential, challenge, party)
    return await call.run(step_up.prove_by_passkey, answer)


async def _ask(request: PageRequest, problem: ServiceError) -> Response:
    runtime, session_id = request.call.runtime, request.call.principal.credential_id
    ways = await request.call.read(step_up.ways_of)
    party, challenge = relying_party(runtime.settings), challenge_for(request.http, session_id)
    if await runtime.read(passkeys.is_used, challenge):
        challenge = passkeys.new_challenge()
    response = await request.with_problem(problem).render(
        "step_up.html",
        request.http.path_params.get("project_id"),
        ways=ways,
        passkey_options=passkeys.sign_in_options(party, challenge) if party and ways.has_passkey else None,
        fields=request.fields_except(PREFIX),
        is_first=isinstance(problem, ProofNeeded),
        status=None,
    )
    keep_challenge(response, runtime, challenge, HOME, session_id)
    return response
