"""Only what was mailed to an address proves it. The first proof ends what somebody else created in the account."""

from argparse import Namespace

import httpx
import pytest

from server.commands import accounts as commands
from server.settings import Settings
from tests.support.browsers import PASSWORD, fresh, sign_in, sign_up
from tests.support.mail import Mailbox
from tests.support.mailing import invite, letters, mailbox, mailed_link, organization_of, settings, sign_up_confirmed
from tests.support.visitors import seen

__all__ = ["letters", "mailbox", "settings"]

VICTIM = "victim@example.com"
NEW_PASSWORD = "another good one"


async def is_verified(browser: httpx.AsyncClient) -> bool:
    return bool((await browser.get("/api/users/me")).json()["email_verified"])


async def reset_link(browser: httpx.AsyncClient, letters: Mailbox, email: str = VICTIM) -> str:
    await browser.post("/forgot-password", data={"email": email})
    return await mailed_link(letters, email, "/reset-password/")


async def test_a_token_that_the_inviter_sees_joins_and_proves_no_mailbox(
    client: httpx.AsyncClient, letters: Mailbox
) -> None:
    squatter, inviter, team = fresh(client), fresh(client), fresh(client)
    await sign_up(squatter, VICTIM)
    await sign_up_confirmed(inviter, letters, "attacker@example.com")
    shown = await invite(inviter, await organization_of(inviter), VICTIM)
    assert (await squatter.post(f"/api/invitations/{shown}/accept")).status_code == 200
    assert not await is_verified(squatter)
    await sign_up_confirmed(team, letters, "owner@example.com")
    await invite(team, await organization_of(team, "Corp"), VICTIM)
    assert (await squatter.get("/api/invitations/pending")).json() == []


async def test_the_page_of_a_shown_link_joins_and_proves_no_mailbox(
    client: httpx.AsyncClient, letters: Mailbox
) -> None:
    squatter = fresh(client)
    await sign_up(squatter, VICTIM)
    await sign_up_confirmed(client, letters, "attacker@example.com")
    shown = await invite(client, await organization_of(client), VICTIM)
    assert (await squatter.post(f"/accept-invitation/{shown}", data={"decision": "accept"})).status_code == 303
    assert not await is_verified(squatter)


async def test_the_token_in_the_letter_joins_and_proves_the_mailbox(
    client: httpx.AsyncClient, letters: Mailbox
) -> None:
    guest = fresh(client)
    await sign_up(guest, VICTIM)
    await sign_up_confirmed(client, letters, "owner@example.com")
    organization_id = await organization_of(client)
    shown = await invite(client, organization_id, VICTIM)
    mailed = (await mailed_link(letters, VICTIM, "/accept-invitation/")).rpartition("/")[2]
    assert mailed != shown
    offers = [(await fresh(client).get(f"/api/invitations/{token}")).json() for token in (shown, mailed)]
    assert offers[0] == offers[1]
    assert offers[0]["status"] == "pending"
    assert (await guest.post(f"/api/invitations/{mailed}/accept")).status_code == 200
    assert await is_verified(guest)
    assert (await guest.get(f"/api/organizations/{organization_id}")).status_code == 200
    for token in (shown, mailed):
        assert (await guest.post(f"/api/invitations/{token}/accept")).status_code == 410


@pytest.mark.parametrize("how", ["cancelled", "replaced"])
async def test_cancelling_or_replacing_an_invitation_ends_both_its_tokens(
    client: httpx.AsyncClient, letters: Mailbox, how: str
) -> None:
    await sign_up_confirmed(client, letters, "owner@example.com")
    organization_id = await organization_of(client)
    shown = await invite(client, organization_id, VICTIM)
    mailed = (await mailed_link(letters, VICTIM, "/accept-invitation/")).rpartition("/")[2]
    if how == "replaced":
        await invite(client, organization_id, VICTIM)
    else:
        invitation_id = (await client.get(f"/api/invitations/{shown}")).json()["invitation_id"]
        await client.delete(f"/api/organizations/{organization_id}/invitations/{invitation_id}")
    for token in (shown, mailed):
        assert (await client.get(f"/api/invitations/{token}")).status_code == 410


async def test_confirming_an_address_asks_for_the_password_of_its_account(
    client: httpx.AsyncClient, letters: Mailbox
) -> None:
    await sign_up(client, VICTIM)
    path = await mailed_link(letters, VICTIM, "/verify-email/")
    stranger, other = fresh(client), fresh(client)
    await sign_up(other, "other@example.com")
    for browser in (stranger, other):
        page = await browser.get(path)
        assert 'name="password"' in page.text
        for fields, status in (({}, 400), ({"password": "not this one"}, 400)):
            assert (await browser.post(path, data=fields)).status_code == status
        assert not await is_verified(client)
    confirmed = await stranger.post(path, data={"password": PASSWORD})
    assert (confirmed.status_code, await is_verified(client)) == (200, True)
    assert (await stranger.post(path, data={"password": PASSWORD})).status_code == 410


async def test_confirming_an_address_with_its_session_asks_for_nothing(
    client: httpx.AsyncClient, letters: Mailbox
) -> None:
    await sign_up(client, VICTIM)
    assert (await client.post(await mailed_link(letters, VICTIM, "/verify-email/"))).status_code == 200
    assert await is_verified(client)


async def squat(client: httpx.AsyncClient, letters: Mailbox) -> tuple[httpx.AsyncClient, httpx.AsyncClient, str, str]:
    """Return a squatter and its accomplice, the squatter's project, and a key to it."""
    squatter, accomplice = fresh(client), fresh(client)
    await sign_up(squatter, VICTIM)
    await sign_up_confirmed(accomplice, letters, "accomplice@example.com")
    project_id = (await squatter.get("/api/projects")).json()["projects"][0]["id"]
    key = (await squatter.post(f"/api/projects/{project_id}/api-keys", json={"name": "k"})).json()["api_key"]
    body = {"email": "accomplice@example.com", "role": "admin"}
    joins = (await squatter.post(f"/api/projects/{project_id}/invitations", json=body)).json()["token"]
    assert (await accomplice.post(f"/api/invitations/{joins}/accept")).status_code == 200
    return squatter, accomplice, project_id, key


async def test_a_reset_that_is_the_first_proof_ends_all_that_a_squatter_prepared(
    client: httpx.AsyncClient, letters: Mailbox
) -> None:
    squatter, accomplice, project_id, key = await squat(client, letters)
    theirs = (await accomplice.post(f"/api/projects/{project_id}/api-keys", json={"name": "b"})).json()["api_key"]
    body = {"email": "third@example.com", "role": "viewer"}
    waiting = [
        (await browser.post(f"/api/projects/{project_id}/invitations", json=body | {"email": email})).json()["token"]
        for browser, email in ((squatter, "third@example.com"), (accomplice, "fourth@example.com"))
    ]
    link = await reset_link(client, letters)
    assert "was never confirmed" in seen(await client.get(link))
    done = await client.post(link, data={"password": NEW_PASSWORD})
    assert done.status_code == 200
    page = seen(done)
    for ended in ("2 API keys", "1 other member", "2 pending invitations"):
        assert ended in page
    assert await is_verified(client)
    for credential in (key, theirs):
        bearer = {"Authorization": f"Bearer {credential}"}
        assert (await fresh(client).get("/api/memories", headers=bearer)).status_code == 401
    assert (await squatter.get("/api/users/me")).status_code == 401
    assert (await accomplice.get(f"/api/projects/{project_id}")).status_code == 404
    for token in waiting:
        assert (await client.get(f"/api/invitations/{token}")).status_code == 410
    members = (await client.get(f"/api/projects/{project_id}/members")).json()
    assert (members["total_count"], members["pending_invitations"]) == (1, [])


async def test_the_first_proof_names_the_teams_that_the_account_was_brought_into(
    client: httpx.AsyncClient, letters: Mailbox
) -> None:
    squatter, attacker = fresh(client), fresh(client)
    await sign_up(squatter, VICTIM)
    await sign_up_confirmed(attacker, letters, "attacker@example.com")
    joins = await invite(attacker, await organization_of(attacker, "Trap"), VICTIM)
    await squatter.post(f"/api/invitations/{joins}/accept")
    done = await client.post(await reset_link(client, letters), data={"password": NEW_PASSWORD})
    assert "You are a member of Trap" in seen(done)


async def test_a_reset_of_a_proven_account_keeps_members_and_ends_keys_when_asked(
    client: httpx.AsyncClient, letters: Mailbox
) -> None:
    await sign_up_confirmed(client, letters, VICTIM)
    project_id = (await client.get("/api/projects")).json()["projects"][0]["id"]
    path, mate = f"/api/projects/{project_id}", fresh(client)
    await sign_up_confirmed(mate, letters, "mate@example.com")
    body = {"email": "mate@example.com", "role": "viewer"}
    joins = (await client.post(f"{path}/invitations", json=body)).json()["token"]
    assert (await mate.post(f"/api/invitations/{joins}/accept")).status_code == 200
    key = (await client.post(f"{path}/api-keys", json={"name": "k"})).json()["api_key"]
    bearer = {"Authorization": f"Bearer {key}"}
    browser = fresh(client)
    for fields, status in (({}, 200), ({"end_access": "on"}, 401)):
        link = await reset_link(browser, letters)
        assert 'name="end_access" checked' in (await browser.get(link)).text
        assert (await browser.post(link, data={"password": NEW_PASSWORD} | fields)).status_code == 303
        assert (await fresh(client).get("/api/memories", headers=bearer)).status_code == status
        letters.letters.clear()
    assert (await client.get("/api/users/me")).status_code == 401
    assert (await mate.get(path)).status_code == 200


async def test_a_printed_reset_link_proves_no_mailbox_and_removes_no_members(
    client: httpx.AsyncClient, letters: Mailbox, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    _, accomplice, project_id, key = await squat(client, letters)
    commands.reset_password(settings, Namespace(email=VICTIM, remove_second_factor=False))
    link = capsys.readouterr().out.strip().removeprefix("http://localhost:8081")
    assert (await client.post(link, data={"password": NEW_PASSWORD, "end_access": "on"})).status_code == 303
    assert not await is_verified(client)
    bearer = {"Authorization": f"Bearer {key}"}
    assert (await fresh(client).get("/api/memories", headers=bearer)).status_code == 401
    assert (await accomplice.get(f"/api/projects/{project_id}")).status_code == 200
    assert (await sign_in(fresh(client), VICTIM, NEW_PASSWORD)).status_code == 303
