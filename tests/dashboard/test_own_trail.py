"""Only the user sees the events of an account, on the account page."""

from collections.abc import Callable

import httpx
import sqlalchemy as sa

from server.models import AuditEvent, OrganizationMember, OrganizationRole
from server.storage.database import Database
from tests.conftest import Tenant
from tests.support.browsers import fresh, sign_in, sign_up
from tests.support.visitors import Visitor, seen


async def test_an_admin_of_a_personal_organization_does_not_see_its_owners_sign_ins(
    client: httpx.AsyncClient, database: Database, bob: Tenant, visit: Callable[[Tenant], Visitor]
) -> None:
    await sign_up(client)
    await sign_in(fresh(client), password="not this one")
    [personal] = (await client.get("/api/organizations")).json()["organizations"]
    with database.write() as session:
        session.add(
            OrganizationMember(organization_id=personal["id"], user_id=bob.user_id, role=OrganizationRole.ADMIN)
        )
    admin = visit(bob)
    listed = (await admin.get(f"/api/organizations/{personal['id']}/audit")).json()["events"]
    assert [event["type"] for event in listed if event["type"].startswith("account.")] == []
    assert "Account" not in await admin.see(f"/dashboard/organizations/{personal['id']}/activity")


async def test_the_account_page_shows_the_persons_own_events(client: httpx.AsyncClient) -> None:
    await sign_up(client)
    await sign_in(fresh(client), password="not this one")
    page = seen(await client.get("/dashboard/account"))
    assert "Sign-in failed" in page
    assert "Account created" in page


async def test_older_events_of_the_account_are_on_the_next_page(client: httpx.AsyncClient, database: Database) -> None:
    await sign_up(client)
    user_id = (await client.get("/api/users/me")).json()["id"]
    with database.write() as session:
        session.add_all(AuditEvent(type="account.signed_in", actor_id=user_id, user_id=user_id) for _ in range(25))
    page = await client.get("/dashboard/account")
    assert "Account created" not in seen(page)
    older = page.text.partition('href="?before=')[2].partition('"')[0]
    assert "Account created" in seen(await client.get(f"/dashboard/account?before={older}"))


async def test_a_deleted_account_leaves_no_trail(client: httpx.AsyncClient, database: Database) -> None:
    await sign_up(client)
    user_id = (await client.get("/api/users/me")).json()["id"]
    assert (await client.delete("/api/users/me")).status_code == 200
    with database.read() as session:
        own = sa.select(sa.func.count()).select_from(AuditEvent).where(sa.column("user_id") == user_id)
        assert session.execute(own).scalar_one() == 0
