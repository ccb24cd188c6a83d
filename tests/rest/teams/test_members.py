"""Members: roles, removing, leaving, and the access that ends with the next request."""

import pytest

from server.storage.database import Database
from tests.rest.conftest import said
from tests.support.team import Team


def organization(team: Team, *more: str) -> str:
    return "/".join((f"/api/organizations/{team.organization_id}", *more))


def project(team: Team, *more: str) -> str:
    return "/".join((f"/api/projects/{team.project_id}", *more))


async def new_key(team: Team, role: str, **body: object) -> dict[str, str]:
    answer = await team[role].post(project(team, "api-keys"), {"name": "mine", **body})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['api_key']}"}


async def test_members_are_listed_with_the_owner_first(team: Team) -> None:
    listed = (await team["viewer"].get(organization(team, "members"))).json()
    assert listed["members"][0] | {"joinedAt": ""} == {
        "userId": team.ids["owner"], "email": team.emails["owner"], "name": "Owner", "role": "owner", "joinedAt": "",
    }  # fmt: skip
    assert {one["userId"] for one in listed["members"]} == set(team.ids.values()) - {team.ids["outsider"]}
    assert listed["total_count"] == len(listed["members"]) == 7


async def test_owner_and_admins_of_the_organization_are_admins_of_its_projects(team: Team) -> None:
    listed = (await team["read_key"].get(project(team, "members"))).json()["members"]
    roles = {one["userId"]: one["role"] for one in listed}
    assert roles == {
        team.ids[role]: shown
        for role, shown in {
            "owner": "admin", "admin": "admin", "project_admin": "admin",
            "editor": "editor", "viewer": "viewer", "target": "viewer",
        }.items()
    }  # fmt: skip


async def test_pending_invitations_are_shown_to_people_who_may_invite(team: Team) -> None:
    await team["owner"].post(organization(team, "invitations"), {"email": "N@Example.com", "role": "member"})
    [waiting] = (await team["admin"].get(organization(team, "members"))).json()["pending_invitations"]
    assert waiting["email"] == "n@example.com"
    assert waiting["status"] == "pending"
    assert "token" not in waiting
    assert (await team["member"].get(organization(team, "members"))).json()["pending_invitations"] == []


async def test_nobody_can_change_or_remove_the_owner(team: Team) -> None:
    owner = team.ids["owner"]
    for path in (organization(team, "members", owner), project(team, "members", owner)):
        assert (await team["admin"].put(path, {"role": "admin"})).status_code == 409
        assert (await team["admin"].delete(path)).status_code == 409
        assert (await team["owner"].delete(path)).status_code == 409


async def test_an_admin_cannot_change_or_remove_another_admin(team: Team) -> None:
    await team["owner"].put(organization(team, "members", team.ids["target"]), {"role": "admin"})
    path = organization(team, "members", team.ids["target"])
    assert (await team["admin"].put(path, {"role": "member"})).status_code == 403
    assert (await team["admin"].delete(path)).status_code == 403
    assert (await team["owner"].put(path, {"role": "member"})).status_code == 200
    own = organization(team, "members", team.ids["admin"])
    assert (await team["admin"].put(own, {"role": "member"})).status_code == 200
    assert (await team["admin"].put(own, {"role": "admin"})).status_code == 403


@pytest.mark.sqlite_only
async def test_unknown_roles_are_refused(team: Team) -> None:
    target = team.ids["target"]
    for role in ("owner", "viewer", "", None, 1):
        answer = await team["owner"].put(organization(team, "members", target), {"role": role})
        assert (answer.status_code, answer.json()) == (400, {"detail": "role: must be 'admin' or 'member'."})
    for role in ("owner", "member", ""):
        assert (await team["owner"].put(project(team, "members", target), {"role": role})).status_code == 400


async def test_an_outsider_and_an_unknown_user_get_the_same_answer(team: Team) -> None:
    for user_id in (team.ids["outsider"], "user_" + "0" * 32):
        for path in (organization(team, "members", user_id), project(team, "members", user_id)):
            answers = [await team["owner"].put(path, {"role": "admin"}), await team["owner"].delete(path)]
            assert [(one.status_code, one.json()) for one in answers] == [(404, {"detail": "Member not found."})] * 2
        added = await team["owner"].post(project(team, "members"), {"user_id": user_id, "role": "viewer"})
        assert (added.status_code, added.json()) == (404, {"detail": "User not found in the organization."})


async def test_r05_a_removed_member_is_refused_on_the_next_request(team: Team) -> None:
    key = await new_key(team, "editor")
    memories = f"/api/memories?project_id={team.project_id}"
    assert (await team["editor"].get(memories)).status_code == 200
    answer = await team["admin"].delete(organization(team, "members", team.ids["editor"]))
    assert answer.json()["api_keys"] == 1
    assert (await team["editor"].get(memories)).status_code == 404
    assert (await team["editor"].get(organization(team))).status_code == 404
    assert (await team["anonymous"].send("GET", "/api/memories", **key)).status_code == 401
    notifications = (await team["editor"].get("/api/notifications")).json()["notifications"]
    assert notifications[0]["type"] == "removed"


async def test_rejoining_does_not_revive_an_old_key(team: Team) -> None:
    key = await new_key(team, "editor")
    await team["project_admin"].delete(project(team, "members", team.ids["editor"]))
    assert (await team["anonymous"].send("GET", "/api/memories", **key)).status_code == 401
    body = {"user_id": team.ids["editor"], "role": "editor"}
    assert (await team["project_admin"].post(project(team, "members"), body)).status_code == 200
    assert (await team["anonymous"].send("GET", "/api/memories", **key)).status_code == 401


async def test_r05_a_lowered_role_counts_on_the_next_request_and_is_told(team: Team) -> None:
    key = await new_key(team, "editor")
    path = "/api/memories"
    changed = await team["project_admin"].put(project(team, "members", team.ids["editor"]), {"role": "viewer"})
    assert changed.status_code == 200
    refused = await team["editor"].post(f"{path}?project_id={team.project_id}", said("I like tea."))
    assert refused.status_code == 403
    assert (await team["anonymous"].send("POST", path, said("I like tea."), **key)).status_code == 403
    assert (await team["anonymous"].send("GET", path, **key)).status_code == 200
    notifications = (await team["editor"].get("/api/notifications")).json()["notifications"]
    assert notifications[0]["type"] == "role_changed"
    assert notifications[0]["metadata"]["role"] == "viewer"


async def test_only_the_owner_can_remove_the_last_admin_of_a_project(team: Team) -> None:
    created = await team["admin"].post("/api/projects", {"name": "Own", "organization_id": team.organization_id})
    path = f"/api/projects/{created.json()['id']}/members"
    mine = f"{path}/{team.ids['admin']}"
    assert (await team["admin"].put(mine, {"role": "viewer"})).status_code == 409
    assert (await team["admin"].delete(mine)).status_code == 409
    await team["admin"].post(path, {"user_id": team.ids["member"], "role": "admin"})
    assert (await team["admin"].delete(mine)).status_code == 200
    assert (await team["member"].delete(f"{path}/{team.ids['member']}")).status_code == 409
    assert (await team["owner"].delete(f"{path}/{team.ids['member']}")).status_code == 200


async def test_a_member_is_added_once(team: Team) -> None:
    body = {"user_id": team.ids["member"], "role": "editor"}
    added = await team["project_admin"].post(project(team, "members"), body)
    assert added.json() == {
        "message": "Member added successfully", "project_id": team.project_id, **body,
    }  # fmt: skip
    for user in ("member", "viewer", "owner", "admin"):
        again = {"user_id": team.ids[user], "role": "viewer"}
        assert (await team["project_admin"].post(project(team, "members"), again)).status_code == 409


async def test_an_organization_admins_role_cannot_be_changed_in_a_project(team: Team) -> None:
    path = project(team, "members", team.ids["admin"])
    assert (await team["project_admin"].delete(path)).status_code == 409
    assert (await team["owner"].put(path, {"role": "viewer"})).status_code == 409


async def test_leaving_an_organization_also_leaves_its_projects(team: Team, database: Database) -> None:
    assert (await team["viewer"].delete(organization(team, "members", team.ids["viewer"]))).status_code == 200
    assert (await team["viewer"].get(project(team))).status_code == 404
    [event, *_] = (await team["owner"].get(organization(team, "audit"))).json()["events"]
    assert event["type"] == "member.left"


async def test_a_demoted_admin_loses_keys_of_projects_without_a_role_there(team: Team) -> None:
    key = await new_key(team, "admin")
    await team["owner"].put(organization(team, "members", team.ids["admin"]), {"role": "member"})
    assert (await team["anonymous"].send("GET", "/api/memories", **key)).status_code == 401
    await team["owner"].put(organization(team, "members", team.ids["admin"]), {"role": "admin"})
    assert (await team["anonymous"].send("GET", "/api/memories", **key)).status_code == 401
