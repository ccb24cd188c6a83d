"""After a change of address, the links, invitations and rows of the old address are ended or deleted."""

import httpx

from server.models.base import metadata
from server.storage.database import Database
from tests.dashboard.test_change_of_address import NEW, OLD, OTHER, ask, change_requested, link_to
from tests.dashboard.test_security_letters import none_waits
from tests.support.browsers import PASSWORD, fresh, sign_up
from tests.support.mail import Mailbox
from tests.support.mailing import invite, letters, mailbox, mailed_link, organization_of, settings, sign_up_confirmed

__all__ = ["letters", "mailbox", "settings"]


async def test_links_to_the_old_address_end_and_a_new_password_ends_a_change(
    client: httpx.AsyncClient, letters: Mailbox
) -> None:
    stopped = await change_requested(client, letters)
    password = {"current": PASSWORD, "password": "another good one"}
    assert (await client.post("/dashboard/account/password", data=password)).status_code == 303
    assert (await client.get(stopped)).status_code == 410
    await ask(client, OTHER)
    await client.post("/forgot-password", data={"email": OLD})
    reset = await mailed_link(letters, OLD, "/reset-password/")
    assert (await client.get(await link_to(letters, OTHER))).status_code == 200
    assert (await fresh(client).get(reset)).status_code == 410
    assert (await fresh(client).post(reset, data={"password": "one more good one"})).status_code == 410


async def test_invitations_follow_the_address(client: httpx.AsyncClient, letters: Mailbox) -> None:
    """Those to the old address are no longer the account's, those to the new one are."""
    boss = fresh(client)
    await sign_up_confirmed(boss, letters, "boss@example.com")
    await sign_up_confirmed(client, letters, OLD)
    old, new = [await organization_of(boss, name) for name in ("Old Lab", "New Lab")]
    token, _ = await invite(boss, old, OLD), await invite(boss, new, NEW)
    await ask(client)
    await client.get(await link_to(letters))
    pending = (await client.get("/api/invitations/pending")).json()
    assert [one["organization_name"] for one in pending] == ["New Lab"]
    assert (await client.post(f"/api/invitations/{token}/accept")).status_code == 403
    told = (await client.get("/api/notifications")).json()["notifications"]
    assert "Invitation to New Lab" in [one["title"] for one in told]
    late = fresh(client)
    await sign_up(late, OLD)
    assert (await late.post(f"/api/invitations/{token}/accept")).status_code == 200


async def test_an_invitation_of_an_own_organization_does_not_survive_a_removal(
    client: httpx.AsyncClient, letters: Mailbox
) -> None:
    boss = fresh(client)
    await sign_up_confirmed(boss, letters, "boss@example.com")
    await sign_up_confirmed(client, letters, OLD)
    organization = await organization_of(boss)
    await client.post(f"/api/invitations/{await invite(boss, organization, OLD)}/accept")
    project = (await boss.post("/api/projects", json={"name": "Inner", "organization_id": organization})).json()["id"]
    body = {"email": OLD, "role": "editor"}
    waiting = (await boss.post(f"/api/projects/{project}/invitations", json=body)).json()["token"]
    await ask(client)
    await client.get(await link_to(letters))
    assert (await client.get(f"/api/invitations/{waiting}")).status_code == 410


async def test_neither_address_outlives_the_account(
    client: httpx.AsyncClient, letters: Mailbox, database: Database
) -> None:
    boss = fresh(client)
    await sign_up_confirmed(boss, letters, "boss@example.com")
    await sign_up_confirmed(client, letters, OLD)
    token = await invite(boss, await organization_of(boss), OLD)
    assert (await client.post(f"/api/invitations/{token}/accept")).status_code == 200
    await ask(client)
    await client.get(await link_to(letters))
    await ask(client, OTHER)
    assert (await client.delete("/api/users/me")).status_code == 200
    await none_waits(database)
    with database.read() as session:
        rows = [str(row) for table in metadata.sorted_tables for row in session.execute(table.select())]
    assert len(rows) > 10
    assert [row for row in rows if any(address in row for address in (OLD, NEW, OTHER))] == []
