"""The caller's own account and notifications."""

import pytest

from server.models import User, metadata
from server.storage.database import Database
from tests.rest.conftest import said
from tests.support.team import Team


async def test_every_credential_shows_its_own_user(team: Team) -> None:
    for caller, role in (("owner", "owner"), ("read_key", "project_admin"), ("write_key", "project_admin")):
        me = (await team[caller].get("/api/users/me")).json()
        assert me["id"] == me["user_id"] == team.ids[role]
        assert me["email"] == team.emails[role]
        assert not {"password_hash", "password"} & set(me)


async def test_r20_an_owner_cannot_delete_the_account(team: Team) -> None:
    answer = await team["owner"].delete("/api/users/me")
    assert answer.status_code == 409
    assert (await team["owner"].get("/api/users/me")).status_code == 200


async def test_deleting_an_account_deletes_everything_and_frees_its_address(team: Team, database: Database) -> None:
    [own_project] = [
        one
        for one in (await team["project_admin"].get("/api/projects")).json()["projects"]
        if one["id"] != team.project_id
    ]
    await team["project_admin"].post(f"/api/memories?project_id={own_project['id']}", said("I like tea."))
    answer = await team["project_admin"].delete("/api/users/me")
    assert answer.json()["cascades"] == {
        "projects": 1, "members": 1, "invitations": 0, "api_keys": 2, "grants": 2, "memories": 1,
    }  # fmt: skip
    for caller in ("project_admin", "read_key", "write_key", "read_token", "write_token"):
        assert (await team[caller].get("/api/users/me")).status_code == 401
    listed = (await team["owner"].get(f"/api/organizations/{team.organization_id}/members")).json()["members"]
    assert team.ids["project_admin"] not in [one["userId"] for one in listed]
    [event, *_] = (await team["owner"].get(f"/api/organizations/{team.organization_id}/audit")).json()["events"]
    assert (event["type"], event["target"]) == ("member.left", team.ids["project_admin"])
    [notice, *_] = (await team["owner"].get("/api/notifications")).json()["notifications"]
    assert (notice["type"], notice["metadata"]["actor_id"]) == ("member_left", team.ids["project_admin"])
    with database.read() as session:
        row = session.get_one(User, team.ids["project_admin"])
        assert (row.email, row.name, row.password_hash) == (None, "", None)


async def test_members_of_a_personal_organization_are_told_that_it_is_gone(team: Team) -> None:
    """Their own personal organization has the same name, and no page names the owner of a deleted account."""
    owner = (await team["outsider"].get("/api/users/me")).json()["name"]
    organizations = (await team["outsider"].get("/api/organizations")).json()["organizations"]
    [personal] = [one["id"] for one in organizations if one["type"] == "personal"]
    invitation = {"email": team.emails["target"], "role": "member"}
    invited = (await team["outsider"].post(f"/api/organizations/{personal}/invitations", invitation)).json()
    assert (await team["target"].post(f"/api/invitations/{invited['token']}/accept", None)).status_code == 200
    assert (await team["outsider"].delete("/api/users/me")).json()["cascades"]["members"] == 2
    [newest, *_] = (await team["target"].get("/api/notifications")).json()["notifications"]
    told = f"The owner deleted the organization “Personal ({owner})” and all its projects."
    assert (newest["type"], newest["title"], newest["message"]) == ("removed", f"Personal ({owner}) was deleted", told)


async def test_the_address_of_a_deleted_account_is_kept_nowhere(team: Team, database: Database) -> None:
    address, organization = team.emails["target"], f"/api/organizations/{team.organization_id}"
    await team["owner"].delete(f"{organization}/members/{team.ids['target']}")
    invited = (await team["owner"].post(f"{organization}/invitations", {"email": address, "role": "member"})).json()
    assert (await team["target"].post(f"/api/invitations/{invited['token']}/accept", {})).status_code == 200
    assert (await team["target"].delete("/api/users/me")).status_code == 200
    with database.read() as session:
        rows = [str(row) for table in metadata.sorted_tables for row in session.execute(table.select())]
    assert len(rows) > 10
    assert [row for row in rows if address in row] == []


async def test_people_read_only_their_own_notifications(team: Team) -> None:
    member = f"/api/projects/{team.project_id}/members/{team.ids['target']}"
    await team["owner"].put(member, {"role": "editor"})
    await team["owner"].delete(member)
    answer = (await team["target"].get("/api/notifications")).json()
    assert answer["unread_count"] == len(answer["notifications"]) == 2
    first = answer["notifications"][0]
    assert set(first) == {"id", "type", "title", "message", "metadata", "read", "created_at"}
    path = f"/api/notifications/{first['id']}/read"
    for other in ("owner", "outsider"):
        assert (await team[other].put(path, None)).status_code == 404
    assert (await team["target"].put(path, None)).json()["count"] == 1
    assert (await team["target"].put(path, None)).json()["count"] == 0
    assert (await team["target"].put("/api/notifications/read-all", None)).json()["count"] == 1
    assert (await team["target"].get("/api/notifications")).json()["unread_count"] == 0


@pytest.mark.sqlite_only
async def test_r18_keys_cannot_use_account_routes(team: Team) -> None:
    for path in ("/api/organizations", "/api/notifications", "/api/invitations/pending"):
        assert (await team["write_key"].get(path)).status_code == 403
    assert (await team["write_key"].delete("/api/users/me")).status_code == 403
    assert (await team["write_key"].put("/api/notifications/read-all", None)).status_code == 403
    assert (await team["write_key"].post("/api/organizations", {"name": "Mine"})).status_code == 403
    assert (await team["write_key"].post("/api/projects", {})).status_code == 403


async def test_what_a_deleted_account_did_names_nobody(team: Team) -> None:
    await team["editor"].post(f"/api/memories?project_id={team.project_id}", said("I like tea."))
    await team["editor"].delete("/api/users/me")
    answer = await team["owner"].get(f"/api/projects/{team.project_id}/activity")
    assert [event["actor_name"] for event in answer.json()["events"]] == [None]
