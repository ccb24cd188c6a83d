"""Addresses whose domain is not in ASCII. Chrome sends `xn--mnchen-3ya.de` for the domain `münchen.de`, and Firefox
sends it as it was typed.
"""

import httpx
import pytest

from server.domain.names import fold_email
from tests.rest.conftest import Caller
from tests.support.browsers import fresh, sign_in, sign_up
from tests.support.team import Team, make_team, team

__all__ = ["make_team", "team"]

AS_TYPED, AS_CHROME_SENDS = "zoë@MÜNCHEN.de", "zoë@xn--mnchen-3ya.de"


@pytest.mark.parametrize(("first", "then"), [(AS_TYPED, AS_CHROME_SENDS), (AS_CHROME_SENDS, AS_TYPED)])
async def test_an_account_is_found_by_the_address_of_every_browser(
    client: httpx.AsyncClient, first: str, then: str
) -> None:
    await sign_up(client, first)
    assert (await sign_in(fresh(client), then)).status_code == 303
    assert (await client.get("/api/users/me")).json()["email"] == "zoë@münchen.de"
    assert (await sign_up(fresh(client), then)).status_code == 409


async def test_an_invitation_holds_for_the_address_of_every_browser(team: Team, client: httpx.AsyncClient) -> None:
    body = {"email": AS_TYPED, "role": "member"}
    invited = (await team["owner"].post(f"/api/organizations/{team.organization_id}/invitations", body)).json()
    browser = fresh(client)
    await sign_up(browser, AS_CHROME_SENDS)
    joined = await Caller(browser, {}).post(f"/api/invitations/{invited['token']}/accept", None)
    assert joined.status_code == 200, joined.text


@pytest.mark.parametrize(
    "domain",
    [
        "xn--.de", "xn--a.de", "xn--abc-.de", "xn--80.de", f"xn--{'a' * 300}.de", "xn--\u00fc.de", "xn--tda-a.de",
    ],
)  # fmt: skip
def test_a_domain_that_stands_for_no_letters_stays(domain: str) -> None:
    assert fold_email(f"ann@{domain}") == f"ann@{domain}"
