"""Leaving is leaving: no invitation brings a removed or demoted person back, and none of theirs stays."""

import re
from typing import Any

import pytest

from tests.support.team import Team


async def invite(team: Team, by: str, email: str, **body: object) -> str:
    """Invite to the organization and return the token."""
    path = f"/api/organizations/{team.organization_id}/invitations"
    answer = await team[by].post(path, {"email": email, "role": "member", **body})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["token"])


async def invite_to_project(team: Team, by: str, email: str, role: str = "admin") -> str:
    answer = await team[by].post(f"/api/projects/{team.project_id}/invitations", {"email": email, "role": role})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["token"])


def in_organization(team: Team, role: str) -> str:
    return f"/api/organizations/{team.organization_id}/members/{team.ids[role]}"


def in_project(team: Team, role: str) -> str:
    return f"/api/projects/{team.project_id}/members/{team.ids[role]}"


async def status(team: Team, token: str) -> int:
    return (await team["anonymous"].get(f"/api/invitations/{token}")).status_code


async def make_admin(team: Team, role: str, to: str = "admin") -> dict[str, Any]:
    answer = await team["owner"].put(in_organization(team, role), {"role": to})
    assert answer.status_code == 200, answer.text
    changed: dict[str, Any] = answer.json()
    return changed


async def test_a_removed_member_cannot_come_back_by_an_older_invitation(team: Team) -> None:
    email = team.emails["outsider"]
    to_organization = await invite(team, "owner", email, role="admin")
    other = await team["owner"].post("/api/projects", {"name": "Two", "organization_id": team.organization_id})
    two = other.json()["id"]
    to_two = (await team["owner"].post(f"/api/projects/{two}/invitations", {"email": email, "role": "viewer"})).json()
    joins = await invite_to_project(team, "owner", email, "viewer")
    assert (await team["outsider"].post(f"/api/invitations/{joins}/accept", None)).status_code == 200
    removed = await team["owner"].delete(in_organization(team, "outsider"))
    assert removed.json()["invitations"] == 2
    assert "2 pending invitations were canceled" in removed.json()["message"]
    for token in (to_organization, to_two["token"]):
        assert (await team["outsider"].post(f"/api/invitations/{token}/accept", None)).status_code == 410
    assert (await team["outsider"].get(f"/api/organizations/{team.organization_id}")).status_code == 404


async def test_leaving_ends_the_invitations_to_and_from_the_person(team: Team) -> None:
    sent = await invite(team, "admin", "new@example.com")
    left = await team["admin"].delete(in_organization(team, "admin"))
    assert left.json()["invitations"] == 1
    assert await status(team, sent) == 410


async def test_the_owner_is_told_who_left(team: Team) -> None:
    for role in ("member", "admin"):
        assert (await team[role].delete(in_organization(team, role))).status_code == 200
    (notice,) = (await team["owner"].get("/api/notifications")).json()["notifications"][:1]
    assert (notice["type"], notice["metadata"]["actor_id"]) == ("member_left", team.ids["admin"])
    assert re.fullmatch(r"2 members left the organization “.*”\. The last one was .+\.", notice["message"])


async def test_the_administrators_of_a_project_are_told_who_left_it(team: Team) -> None:
    assert (await team["owner"].put(in_project(team, "editor"), {"role": "admin"})).status_code == 200
    for role in ("viewer", "editor"):
        assert (await team[role].delete(in_project(team, role))).status_code == 200
    for role in ("owner", "admin", "project_admin"):
        (notice,) = (await team[role].get("/api/notifications")).json()["notifications"][:1]
        assert (notice["type"], notice["metadata"]["actor_id"]) == ("member_left", team.ids["editor"])
        assert re.fullmatch(r"2 members left the project “.*”\. The last one was .+\.", notice["message"])
    assert "left the project" not in (await team["target"].get("/api/notifications")).text


async def test_a_demoted_admin_loses_the_invitations_that_the_role_allowed(team: Team) -> None:
    await team["owner"].post(
        f"/api/projects/{team.project_id}/members", {"user_id": team.ids["member"], "role": "admin"}
    )
    await make_admin(team, "member")
    lost = await invite(team, "member", "one@example.com")
    kept = await invite_to_project(team, "member", "two@example.com", "viewer")
    changed = await make_admin(team, "member", "member")
    assert changed["invitations"] == 1
    assert (await status(team, lost), await status(team, kept)) == (410, 200)


async def test_a_demoted_admin_is_not_made_admin_by_an_older_invitation(team: Team) -> None:
    email = team.emails["outsider"]
    again = await invite(team, "owner", email, role="admin")
    joins = await invite_to_project(team, "owner", email, "viewer")
    await team["outsider"].post(f"/api/invitations/{joins}/accept", None)
    await make_admin(team, "outsider")
    assert (await make_admin(team, "outsider", "member"))["invitations"] == 1
    assert (await team["outsider"].post(f"/api/invitations/{again}/accept", None)).status_code == 410


@pytest.mark.parametrize("loss", ["demoted", "removed"])
async def test_an_invitation_does_not_wake_when_its_sender_is_admin_again(team: Team, loss: str) -> None:
    sent = await invite(team, "admin", "new@example.com")
    if loss == "demoted":
        await make_admin(team, "admin", "member")
    else:
        await team["owner"].delete(in_organization(team, "admin"))
        back = await invite(team, "owner", team.emails["admin"])
        assert (await team["admin"].post(f"/api/invitations/{back}/accept", None)).status_code == 200
    await make_admin(team, "admin")
    assert await status(team, sent) == 410


async def test_a_person_removed_from_a_project_cannot_come_back_by_an_older_invitation(team: Team) -> None:
    email = team.emails["outsider"]
    with_project = await invite(
        team, "owner", email, projectIds=[team.project_id], projectRoles={team.project_id: "admin"}
    )
    elsewhere = (
        await team["owner"].post("/api/projects", {"name": "Two", "organization_id": team.organization_id})
    ).json()
    path = f"/api/projects/{elsewhere['id']}/invitations"
    unrelated = (await team["owner"].post(path, {"email": email, "role": "viewer"})).json()["token"]
    joins = await invite_to_project(team, "owner", email, "editor")
    assert (await team["outsider"].post(f"/api/invitations/{joins}/accept", None)).status_code == 200
    removed = await team["project_admin"].delete(in_project(team, "outsider"))
    assert removed.json()["invitations"] == 1
    assert (await team["outsider"].post(f"/api/invitations/{with_project}/accept", None)).status_code == 410
    assert await status(team, unrelated) == 200
    assert (await team["outsider"].get(f"/api/projects/{team.project_id}")).status_code == 404


async def test_a_role_lowered_in_a_project_ends_invitations_to_and_from_the_person(team: Team) -> None:
    email = team.emails["outsider"]
    with_project = await invite(
        team, "owner", email, projectIds=[team.project_id], projectRoles={team.project_id: "admin"}
    )
    joins = await invite_to_project(team, "owner", email, "admin")
    await team["outsider"].post(f"/api/invitations/{joins}/accept", None)
    sent = await invite_to_project(team, "outsider", "new@example.com", "viewer")
    lowered = await team["owner"].put(in_project(team, "outsider"), {"role": "viewer"})
    assert (lowered.status_code, lowered.json()["invitations"]) == (200, 2)
    assert [await status(team, token) for token in (with_project, sent)] == [410, 410]
    await team["owner"].put(in_project(team, "outsider"), {"role": "admin"})
    assert await status(team, sent) == 410


async def test_a_role_that_rises_ends_no_invitation(team: Team) -> None:
    sent = await invite_to_project(team, "project_admin", "new@example.com", "viewer")
    risen = await make_admin(team, "project_admin")
    assert (risen["invitations"], await status(team, sent)) == (0, 200)
