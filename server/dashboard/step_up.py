"""The page between a sensitive form and its effect: it asks who is there, then sends the same form again."""

from starlette.responses import Response

from server.dashboard.pages import PageRequest
from server.domain.people import step_up
from server.domain.people.step_up import ProofNeeded, WrongProof
from server.errors import RateLimited, ServiceError
from server.limits import Bucket
from server.request_credentials import address_of

PREFIX = "proof_"
"""Fields of the proof begin with this. All other fields are sent again unchanged."""


async def recently(request: PageRequest) -> Response | None:
    """Let the form pass if the session was proved within the last ten minutes, else like `now`."""
    return None if await request.call.read(step_up.is_fresh) else await now(request)


async def now(request: PageRequest) -> Response | None:
    """Let the form pass if it carries the password or a code. Otherwise return the page that asks for them."""
    password, code = request.text(f"{PREFIX}password"), request.text(f"{PREFIX}code")
    if not password and not code:
        return await _ask(request, ProofNeeded())
    try:
        await _count(request)
        if await request.call.run(
            step_up.prove, password, code, request.call.runtime.second_factor_seal, request.call.mailer
        ):
            return None
    except RateLimited as error:
        return await _ask(request, error)
    return await _ask(request, WrongProof())


async def _count(request: PageRequest) -> None:
    """Raises RateLimited: this form allows guessing too."""
    runtime = request.call.runtime
    key = ("step-up", request.call.principal.user_id, address_of(request.http))
    await runtime.in_thread(runtime.limits.hit, Bucket.SIGN_IN, *key)


async def _ask(request: PageRequest, problem: ServiceError) -> Response:
    fields = [
        (name, value)
        for name, value in request.form.multi_items()
        if isinstance(value, str) and not name.startswith(PREFIX)
    ]
    return await request.with_problem(problem).render(
        "step_up.html",
        request.http.path_params.get("project_id"),
        ways=await request.call.read(step_up.ways_of),
        fields=fields,
        is_first=isinstance(problem, ProofNeeded),
        status=None,
    )
