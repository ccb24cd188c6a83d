"""API keys, connected apps, notifications, the account, and the instructions for clients."""

import re
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest

from server.models import OAuthClient, OAuthGrant, RefreshToken
from server.models.base import now
from server.models.oauth import AuthMethod, ClientKind
from server.storage.database import Database
from tests.conftest import Tenant
from tests.support.browsers import COOKIE, PASSWORD, fresh, sign_in, sign_up
from tests.support.visitors import Visitor, seen

KEY = re.compile(r'id="new-key" value="(sk_im_\w+)"')


async def create_key(ann: Visitor, permission: str = "write", name: str = "Laptop") -> str:
    response = await ann.shown(f"{ann.project}/keys", {"name": name, "permission": permission, "expires_in_days": "30"})
    key = KEY.search(response.text)
    assert key
    return key[1]


async def test_a_key_is_shown_once_and_works_until_it_is_revoked(ann: Visitor, client: httpx.AsyncClient) -> None:
    key = await create_key(ann, name="<i>Laptop</i>")
    bearer = {"Authorization": f"Bearer {key}"}
    assert (await client.get("/api/memories", headers=bearer)).status_code == 200
    page = await ann.get(f"{ann.project}/keys")
    assert key not in page.text
    assert "&lt;i&gt;Laptop&lt;/i&gt;" in page.text
    newest = page.text.index("&lt;i&gt;Laptop")
    revoke = re.search(r'action="([^"]+/revoke)"', page.text[newest:])
    assert revoke
    await ann.do(revoke[1])
    assert (await client.get("/api/memories", headers=bearer)).status_code == 401


async def test_a_read_only_key_only_reads(ann: Visitor, client: httpx.AsyncClient) -> None:
    bearer = {"Authorization": f"Bearer {await create_key(ann, 'read')}"}
    body = {"messages": [{"role": "user", "content": "no"}]}
    assert (await client.get("/api/memories", headers=bearer)).status_code == 200
    assert (await client.post("/api/memories", json=body, headers=bearer)).status_code == 403


@pytest.mark.parametrize("fields", [{"name": " "}, {"permission": "all"}, {"expires_in_days": "9"}])
async def test_an_invalid_key_form_is_refused(ann: Visitor, fields: dict[str, str]) -> None:
    typed = {"name": "Laptop", "permission": "write", "expires_in_days": "", **fields}
    response = await ann.post(f"{ann.project}/keys", typed)
    assert response.status_code == 400
    assert KEY.search(response.text) is None


async def test_a_connected_app_is_listed_and_can_be_disconnected(
    ann: Visitor, ben: Visitor, database: Database
) -> None:
    grant_id = connect(database, ann.tenant)
    assert "Evil <b>App</b>" in await ann.see("/dashboard/connections")
    assert (await ben.post(f"/dashboard/connections/{grant_id}/disconnect")).status_code == 404
    await ann.do(f"/dashboard/connections/{grant_id}/disconnect")
    assert "No connected apps" in await ann.see("/dashboard/connections")


async def create_read_key(viewer: Visitor, project: str) -> None:
    typed = {"name": "Reader", "permission": "read", "expires_in_days": ""}
    await viewer.do(f"{project}/keys", typed)


async def test_unread_notifications_of_others_are_counted(ann: Visitor, viewer: Visitor) -> None:
    await create_read_key(viewer, ann.project)
    page = await ann.get("/dashboard/notifications")
    assert "1 unread" in seen(page)
    read = re.search(r'action="(/dashboard/notifications/ntf_\w+/read)"', page.text)
    assert read
    await ann.do(read[1])
    await create_read_key(viewer, ann.project)
    await create_read_key(viewer, ann.project)
    assert "1 unread" in await ann.see(ann.project)
    assert "2 API keys were created in the project “My Memories” by bob" in await ann.see("/dashboard/notifications")
    await ann.do("/dashboard/notifications/read-all")
    assert "unread" not in await ann.see(ann.project)


async def test_notifications_name_the_actor_link_and_leave_out_own_doings(ann: Visitor, viewer: Visitor) -> None:
    await create_key(ann)
    assert "unread" not in await ann.see(ann.project)
    assert "No notifications" in await ann.see("/dashboard/notifications")
    await create_read_key(viewer, ann.project)
    page = await ann.get("/dashboard/notifications")
    assert "By bob, just now" in seen(page)
    assert f'<a href="{ann.project}/keys"><b>API key created</b></a>' in page.text
    await ann.do(f"{ann.project}/members/{viewer.tenant.user_id}/role", {"role": "editor"})
    assert "By alice, just now" in await viewer.see("/dashboard/notifications")


async def test_a_session_in_another_browser_can_be_ended(visit: Callable[[Tenant], Visitor], alice: Tenant) -> None:
    here, there = visit(alice), visit(alice)
    page = await here.get("/dashboard/account")
    assert seen(page).count("Firefox on Linux") >= 2
    ends = re.findall(r'action="(/dashboard/account/sessions/ses_\w+/end)"', page.text)
    assert len(ends) == 1
    await here.do(ends[0])
    assert (await there.get("/dashboard/account")).headers["location"].startswith("/sign-in")
    assert (await here.post(ends[0])).status_code == 404


async def test_any_number_of_sessions_are_listed_in_pages(visit: Callable[[Tenant], Visitor], alice: Tenant) -> None:
    here, *_ = [visit(alice) for _ in range(51)]
    pages = [(await here.get(f"/dashboard/account{query}")).text for query in ("", "?sessions=40")]
    ends = [set(re.findall(r"/dashboard/account/sessions/ses_\w+/end", page)) for page in pages]
    assert len(ends[0] | ends[1]) == len(ends[0]) + len(ends[1]) == 50


async def test_a_name_must_not_be_blank(ann: Visitor) -> None:
    await ann.do("/dashboard/account/name", {"name": "Ann Other"})
    assert "Ann Other" in await ann.see("/dashboard/account")
    refused = await ann.post("/dashboard/account/name", {"name": "  "})
    assert refused.status_code == 400
    assert "Name: enter a name." in seen(refused)


async def test_a_wrong_password_changes_nothing(ann: Visitor) -> None:
    fields = {"current": "wrong", "password": "long enough"}
    refused = await ann.post("/dashboard/account/password", fields)
    assert refused.status_code == 400
    assert "this is not your current password" in seen(refused)
    assert "long enough" not in refused.text


async def test_063_r10_a_new_password_ends_the_other_sessions(client: httpx.AsyncClient) -> None:
    await sign_up(client)
    elsewhere, before = fresh(client), client.cookies[COOKIE]
    await sign_in(elsewhere)
    changed = await client.post("/dashboard/account/password", data={"current": PASSWORD, "password": "a new good one"})
    assert changed.status_code == 303
    assert (await client.get("/api/users/me")).status_code == 200
    assert (await elsewhere.get("/api/users/me")).status_code == 401
    assert (await client.get("/api/users/me", headers={"Authorization": f"Session {before}"})).status_code == 401
    assert (await sign_in(fresh(client))).status_code == 401
    assert (await sign_in(fresh(client), password="a new good one")).status_code == 303


async def test_deleting_the_account_requires_typing_its_address(ann: Visitor, client: httpx.AsyncClient) -> None:
    assert (await ann.post("/dashboard/account/delete", {"confirm": "bob@example.com"})).status_code == 400
    await ann.do("/dashboard/account/delete", {"confirm": ann.tenant.email})
    assert (await ann.get("/dashboard")).headers["location"].startswith("/sign-in")
    assert (await client.get("/api/memories", headers=ann.tenant.auth)).status_code == 401


def connect(database: Database, tenant: Tenant) -> str:
    """Store what a consent stores, and return the id of the grant."""
    with database.write() as session:
        client = OAuthClient(
            id="client", kind=ClientKind.REGISTERED, name="Evil <b>App</b>", redirect_uris=["https://a.example/"],
            grant_types=["authorization_code"], auth_method=AuthMethod.NONE,
        )  # fmt: skip
        session.add(client)
        session.flush()
        grant = OAuthGrant(
            user_id=tenant.user_id, client_id="client", project_id=tenant.project_id, scopes=["memories:read"]
        )
        session.add(grant)
        session.flush()
        session.add(RefreshToken(token_hash="hash", grant_id=grant.id, expires_at=now() + timedelta(days=1)))
        return grant.id
