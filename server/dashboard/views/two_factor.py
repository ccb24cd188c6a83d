"""Two-factor authentication: set it up, see recovery codes once, turn it off."""

import segno
from markupsafe import Markup
from starlette.responses import Response

from server.dashboard.pages import PageRequest, redirect
from server.dashboard.shown_once import show_once
from server.dashboard.views.account import ACCOUNT
from server.domain.people import second_factors
from server.domain.people.second_factors import Proposal
from server.errors import Invalid

PAGE = f"{ACCOUNT}/two-factor"


async def show(request: PageRequest) -> Response:
    """Show the status, with codes that were just created. After a wrong code, show the same secret again."""
    sealed = request.text("sealed")
    proposal = None
    if sealed and isinstance(request.problem, Invalid):
        proposal = await request.call.read(second_factors.proposed, sealed, request.call.runtime.second_factor_seal)
    return await _render(request, proposal)


async def set_up(request: PageRequest) -> Response:
    """Show a new secret in the response itself. Nothing is stored until a code confirms it."""
    seal = request.call.runtime.second_factor_seal
    return await _render(request, await request.call.read(second_factors.propose, seal))


async def turn_on(request: PageRequest) -> Response:
    """Show the recovery codes once: only their hashes are stored."""
    sealed, code, seal = request.text("sealed"), request.text("code"), request.call.runtime.second_factor_seal
    codes = await request.call.run(second_factors.turn_on, sealed, code, seal, request.call.mailer)
    return show_once(request.call, PAGE, codes=" ".join(codes))


async def renew_codes(request: PageRequest) -> Response:
    codes = await request.call.run(second_factors.renew_recovery_codes, request.call.mailer)
    return show_once(request.call, PAGE, codes=" ".join(codes))


async def turn_off(request: PageRequest) -> Response:
    await request.call.run(second_factors.turn_off, request.call.mailer)
    return redirect(PAGE, "two-factor-off")


def qr_code(text: str) -> Markup:
    """Return the QR code as inline SVG, dark on light in every color scheme."""
    code = segno.make_qr(text, error="m")
    svg = code.svg_inline(border=4, light="#fff", dark="#000", svgclass="qr", lineclass=None, omitsize=True)
    return Markup(svg)  # noqa: S704 - made of numbers by the library


async def _render(request: PageRequest, proposal: Proposal | None = None) -> Response:
    return await request.render(
        "two_factor.html",
        status_now=await request.call.read(second_factors.status),
        proposal=proposal,
        picture=qr_code(proposal.uri) if proposal else None,
    )
