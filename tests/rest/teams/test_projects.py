"""Projects: names, roles, and what is deleted with them."""

import pytest

from tests.rest.conftest import said
from tests.support.team import Team


async def test_the_creator_of_a_project_is_its_admin(team: Team) -> None:
    created = await team["admin"].post("/api/projects", {"name": "Notes", "organization_id": team.organization_id})
    assert created.status_code == 200
    project_id = created.json()["project_id"]
    seen = (await team["admin"].get(f"/api/projects/{project_id}")).json()
    assert seen["role"] == "admin"
    assert seen["organizationId"] == team.organization_id
    assert seen["ownerId"] == team.ids["owner"]
    assert seen["userPermissions"] == {"canRead": True, "canWrite": True, "canDelete": True, "canInvite": True}


@pytest.mark.sqlite_only
async def test_permissions_follow_from_the_role(team: Team) -> None:
    seen = {
        role: (await team[role].get(f"/api/projects/{team.project_id}")).json()["userPermissions"]
        for role in ("editor", "viewer")
    }
    assert seen == {
        "editor": {"canRead": True, "canWrite": True, "canDelete": True, "canInvite": False},
        "viewer": {"canRead": True, "canWrite": False, "canDelete": False, "canInvite": False},
    }


async def test_people_and_keys_list_the_projects_that_they_can_reach(team: Team) -> None:
    for role in ("owner", "admin", "viewer"):
        listed = (await team[role].get("/api/projects")).json()
        assert team.project_id in [project["id"] for project in listed["projects"]]
        assert listed["total_count"] == len(listed["projects"]) == 2
    for role in ("member", "outsider"):
        assert (await team[role].get("/api/projects")).json()["total_count"] == 1
    of_key = (await team["read_key"].get("/api/projects")).json()
    assert [project["id"] for project in of_key["projects"]] == [team.project_id]


async def test_project_names_are_unique_in_an_organization(team: Team) -> None:
    for name in ("Wiki", "wiki", "WIKI "):
        body = {"name": name, "organization_id": team.organization_id}
        assert (await team["owner"].post("/api/projects", body)).status_code == 409
    [personal] = [
        one
        for one in (await team["owner"].get("/api/organizations")).json()["organizations"]
        if one["type"] == "personal"
    ]
    elsewhere = {"name": "Wiki", "organization_id": personal["id"]}
    assert (await team["owner"].post("/api/projects", elsewhere)).status_code == 200


async def test_r04_a_project_is_not_made_in_an_organization_out_of_reach(team: Team) -> None:
    for organization_id in (team.organization_id, "org_" + "0" * 32):
        answer = await team["outsider"].post("/api/projects", {"name": "Mine", "organization_id": organization_id})
        assert (answer.status_code, answer.json()) == (404, {"detail": "Organization not found."})


async def test_deleting_a_project_deletes_and_counts_everything_in_it(team: Team) -> None:
    path = f"/api/projects/{team.project_id}"
    await team["editor"].post(f"/api/memories?project_id={team.project_id}", said("I like tea."))
    await team["owner"].post(f"{path}/invitations", {"email": "n@example.com", "role": "viewer"})
    answer = await team["project_admin"].delete(path)
    assert answer.json()["cascades"] == {
        "projects": 1, "members": 5, "invitations": 1, "api_keys": 2, "grants": 2, "memories": 1,
    }  # fmt: skip
    assert (await team["owner"].get(path)).status_code == 404
    assert (await team["write_key"].get("/api/memories")).status_code == 401
    again = await team["owner"].post("/api/projects", {"name": "Wiki", "organization_id": team.organization_id})
    assert again.status_code == 200
    memories = await team["owner"].get(f"/api/memories?project_id={again.json()['id']}")
    assert memories.json()["total"] == 0
