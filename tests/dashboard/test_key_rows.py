"""The rows of API keys: how often a key was used, and the form that replaces it."""

import re
from datetime import datetime, timedelta

import httpx
import pytest
import sqlalchemy as sa
from sqlmodel import col, select

from server.domain.memory.pages import assistants
from server.domain.teams import api_keys
from server.models import ApiKey, ProjectMember, ProjectRole
from server.models.base import now
from server.storage.database import Database
from tests.dashboard.test_keys_and_account import KEY, create_key, create_read_key
from tests.support.visitors import Visitor, seen


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def key_named(database: Database, name: str) -> ApiKey:
    with database.read() as session:
        return session.exec(select(ApiKey).where(ApiKey.name == name)).one()


def set_expiry(database: Database, name: str, expires_at: datetime | None) -> None:
    with database.write() as session:
        session.execute(sa.update(ApiKey).where(col(ApiKey.name) == name).values(expires_at=expires_at))


def set_role(database: Database, member: Visitor, role: ProjectRole) -> None:
    with database.write() as session:
        of_member = col(ProjectMember.user_id) == member.tenant.user_id
        session.execute(sa.update(ProjectMember).where(of_member).values(role=role))


async def replace(visitor: Visitor, project: str, key_id: str) -> httpx.Response:
    return await visitor.post(f"{project}/keys/{key_id}/replace")


async def replaced(visitor: Visitor, project: str, key_id: str) -> str:
    """Return the new key."""
    key = KEY.search((await visitor.shown(f"{project}/keys/{key_id}/replace")).text)
    assert key
    return key[1]


async def list_memories(client: httpx.AsyncClient, key: str) -> int:
    return (await client.get("/api/memories", headers=bearer(key))).status_code


async def test_a_row_counts_the_uses_of_its_key_alone(ann: Visitor, client: httpx.AsyncClient) -> None:
    used, unused = await create_key(ann, name="Laptop"), await create_key(ann, name="Phone")
    await ann.remember("By another key.")
    await ann.remember("By another key, too.")
    for query in ("tea", "coffee"):
        found = await client.post("/api/memories/search", json={"query": query}, headers=bearer(used))
        assert found.status_code == 200
    page = await ann.see(f"{ann.project}/keys")
    assert page.count("Used 2 times in the last 30 days, last just now") == 2  # the tenant's key, and this one
    assert page.count("Never used") == 2  # the tenant's other key, and the phone's
    assert await list_memories(client, unused) == 200
    assert "Used 1 time in the last 30 days" in await ann.see(f"{ann.project}/keys")


async def test_more_uses_than_are_counted_are_at_least_so_many(
    ann: Visitor, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await create_key(ann)
    await ann.remember("By another key, and too long ago to count.")
    for query in ("tea", "coffee", "milk"):
        await client.post("/api/memories/search", json={"query": query}, headers=bearer(key))
    monkeypatch.setattr(assistants, "MOST_USES", 3)
    page = await ann.see(f"{ann.project}/keys")
    assert page.count("Used at least 3 times in the last 30 days") == 1
    assert page.count("Last used") == 1


@pytest.mark.settings(activity_days=0)
async def test_nothing_is_counted_without_activity(ann: Visitor, client: httpx.AsyncClient) -> None:
    assert await list_memories(client, await create_key(ann)) == 200
    page = await ann.see(f"{ann.project}/keys")
    assert "Last used" in page
    assert "times in" not in page


async def test_a_replaced_key_stops_working_and_the_new_one_is_like_it(
    ann: Visitor, client: httpx.AsyncClient, database: Database
) -> None:
    old = await create_key(ann, "read", name="<i>Laptop</i>")
    before = key_named(database, "<i>Laptop</i>")
    page = await ann.get(f"{ann.project}/keys")
    form = re.search(rf'action="([^"]+/{before.id}/replace)"', page.text)
    assert form
    response = await ann.shown(form[1])
    assert "You won’t be able to see it again." in seen(response)
    new = KEY.search(response.text)
    assert new
    assert (await list_memories(client, old), await list_memories(client, new[1])) == (401, 200)
    after = key_named(database, "<i>Laptop</i>")
    assert (after.permissions, after.expires_at) == (["read"], before.expires_at)
    page = await ann.get(f"{ann.project}/keys")
    assert new[1] not in page.text
    assert page.text.count(">&lt;i&gt;Laptop&lt;/i&gt;</b>") == 1
    assert (await ann.post(form[1])).status_code == 404
    trail = await ann.see(f"{ann.organization}/activity")
    assert "API key created" in trail
    assert "API key revoked" in trail


async def test_a_key_without_expiry_is_replaced_at_the_limit(
    ann: Visitor, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create_key(ann)
    set_expiry(database, "Laptop", None)
    monkeypatch.setattr(api_keys, "MAX_PER_PERSON", 3)
    await replaced(ann, ann.project, key_named(database, "Laptop").id)
    assert key_named(database, "Laptop").expires_at is None
    assert (await ann.post(f"{ann.project}/keys", {"name": "More", "permission": "read"})).status_code == 409


async def test_an_expired_key_cannot_be_replaced(ann: Visitor, database: Database) -> None:
    await create_key(ann)
    set_expiry(database, "Laptop", now() - timedelta(minutes=1))
    key = key_named(database, "Laptop")
    page = await ann.get(f"{ann.project}/keys")
    assert "Expired " in seen(page)
    assert f"{key.id}/replace" not in page.text
    refused = await replace(ann, ann.project, key.id)
    assert (refused.status_code, KEY.search(refused.text)) == (409, None)
    assert "This API key has expired. Create a new one." in seen(refused)
    assert key_named(database, "Laptop").id == key.id


async def test_the_creator_and_an_admin_may_replace_a_key(
    ann: Visitor, viewer: Visitor, client: httpx.AsyncClient, database: Database
) -> None:
    await create_key(ann, name="Of Ann")
    await create_read_key(viewer, ann.project)
    anns = key_named(database, "Of Ann").id
    assert (await replace(viewer, ann.project, anns)).status_code == 404
    of_viewer = await replaced(viewer, ann.project, key_named(database, "Reader").id)
    set_role(database, viewer, ProjectRole.EDITOR)
    assert (await replace(viewer, ann.project, anns)).status_code == 403
    assert f"{anns}/replace" not in (await viewer.get(f"{ann.project}/keys")).text
    assert "The new key belongs to you." in await ann.see(f"{ann.project}/keys")
    of_ann = await replaced(ann, ann.project, key_named(database, "Reader").id)
    assert (await list_memories(client, of_viewer), await list_memories(client, of_ann)) == (401, 200)
    assert key_named(database, "Reader").created_by == ann.tenant.user_id


async def test_a_viewer_cannot_replace_a_key_that_writes(ann: Visitor, viewer: Visitor, database: Database) -> None:
    set_role(database, viewer, ProjectRole.EDITOR)
    typed = {"name": "Writer", "permission": "write", "expires_in_days": ""}
    await viewer.do(f"{ann.project}/keys", typed)
    set_role(database, viewer, ProjectRole.VIEWER)
    key = key_named(database, "Writer")
    assert f"{key.id}/replace" not in (await viewer.get(f"{ann.project}/keys")).text
    assert (await replace(viewer, ann.project, key.id)).status_code == 403
    assert key_named(database, "Writer").id == key.id


async def test_administrators_are_notified_of_both_keys(ann: Visitor, viewer: Visitor, database: Database) -> None:
    await create_read_key(viewer, ann.project)
    await ann.do("/dashboard/notifications/read-all")
    await replaced(viewer, ann.project, key_named(database, "Reader").id)
    page = await ann.see("/dashboard/notifications")
    assert "2 unread" in page
    assert page.count("The API key “Reader” was deleted") == 1
    assert page.count("The API key “Reader” was created") == 2


async def test_the_actions_of_rows_are_told_apart_without_seeing_them(ann: Visitor) -> None:
    for name in ("Laptop", "Phone"):
        await create_key(ann, name=name)
        await ann.post(f"/dashboard/memories/{await ann.remember(name)}/delete")
    keys = (await ann.get(f"{ann.project}/keys")).text
    rows = dict(re.findall(r'<b id="(of-key_\w+)">(Laptop|Phone)</b>', keys))
    assert sorted(rows.values()) == ["Laptop", "Phone"]
    for row in rows:
        assert keys.count(f'<summary aria-describedby="{row}">') == 2
    trash = (await ann.get(f"{ann.project}/trash")).text
    memories = re.findall(r'<p class="text" id="(text-mem_\w+)"', trash)
    assert len(memories) == 2
    for row in memories:
        assert f'aria-describedby="{row}">Restore</button>' in trash
        assert f'aria-describedby="{row}">Delete permanently</summary>' in trash
