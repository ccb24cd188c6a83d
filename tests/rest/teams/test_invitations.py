"""Invitations: bound to an address, used once, dead with the right of whoever sent them (R19)."""

import re
from datetime import timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from server.domain.people import users
from server.models import Invitation, User
from server.models.base import now
from server.storage.database import Database
from tests.rest.conftest import Caller
from tests.support.team import Team


async def invite(team: Team, role: str = "outsider", by: str = "owner", **more: object) -> dict[str, Any]:
    """Invite that person to the organization and return the answer."""
    body = {"email": team.emails[role], "role": "member", **more}
    answer = await team[by].post(f"/api/organizations/{team.organization_id}/invitations", body)
    assert answer.status_code == 200, answer.text
    invited: dict[str, Any] = answer.json()
    return invited


async def accept(caller: Caller, handle: str) -> httpx.Response:
    return await caller.post(f"/api/invitations/{handle}/accept", None)


def unverify(database: Database, user_id: str) -> None:
    with database.write() as session:
        session.execute(sa.update(User).where(sa.column("id") == user_id).values(email_verified_at=None))


async def test_an_invitation_grants_a_role_and_projects(team: Team) -> None:
    invited = await invite(team, projectIds=[team.project_id], projectRoles={team.project_id: "editor"})
    assert invited["email"] == team.emails["outsider"]
    assert invited["organization_id"] == team.organization_id
    assert invited["project_assignments"] == [{"project_id": team.project_id, "project_name": "Wiki", "role": "editor"}]
    assert invited["link"].endswith(f"/accept-invitation/{invited['token']}")
    shown = await team["anonymous"].get(f"/api/invitations/{invited['token']}")
    assert shown.json() == {
        "invitation_id": invited["invitation_id"], "email": team.emails["outsider"], "organization_name": "Acme",
        "project_name": None, "role": "member", "status": "pending", "expires_at": invited["expires_at"],
        "invited_by": "Owner",
    }  # fmt: skip
    joined = await accept(team["outsider"], invited["token"])
    assert joined.json() == {
        "message": "Invitation accepted successfully", "organization_id": team.organization_id,
        "organization_name": "Acme", "projects_added": 1, "role": "member",
    }  # fmt: skip
    assert (await team["outsider"].get(f"/api/projects/{team.project_id}")).json()["role"] == "editor"


@pytest.mark.sqlite_only
async def test_null_projects_of_an_invitation_are_left_out(team: Team) -> None:
    assert (await invite(team, projectIds=None, projectRoles=None))["project_assignments"] == []


async def test_an_invitation_to_a_project_adds_the_person_to_the_organization(team: Team) -> None:
    body = {"email": team.emails["outsider"], "role": "editor"}
    invited = (await team["project_admin"].post(f"/api/projects/{team.project_id}/invitations", body)).json()
    assert invited["role"] == "editor"
    assert (await team["anonymous"].get(f"/api/invitations/{invited['token']}")).json()["project_name"] == "Wiki"
    joined = (await accept(team["outsider"], invited["token"])).json()
    assert (joined["projects_added"], joined["role"]) == (1, "editor")
    organization = (await team["outsider"].get(f"/api/organizations/{team.organization_id}")).json()
    assert organization["role"] == "member"


async def test_r19_a_token_is_random_hashed_and_works_once(team: Team, database: Database) -> None:
    invited = await invite(team)
    assert re.fullmatch(r"sm_in_[0-9A-Za-z]{32}", invited["token"])
    with database.read() as session:
        assert invited["token"] not in repr(session.get_one(Invitation, invited["invitation_id"]))
    assert (await accept(team["outsider"], invited["token"])).status_code == 200
    again = await accept(team["outsider"], invited["token"])
    assert (again.status_code, again.json()) == (410, {"detail": "This invitation was already accepted."})
    assert (await team["anonymous"].get(f"/api/invitations/{invited['token']}")).status_code == 410


async def test_r19_another_account_is_refused_and_the_invitation_stays_usable(team: Team) -> None:
    invited = await invite(team)
    for verb in ("accept", "decline"):
        answer = await team["member"].post(f"/api/invitations/{invited['token']}/{verb}", None)
        assert answer.status_code == 403
    assert (await accept(team["outsider"], invited["token"])).status_code == 200


async def test_r19_addresses_are_compared_without_case(team: Team) -> None:
    body = {"email": f" {team.emails['outsider'].upper()} ", "role": "member"}
    invited = (await team["owner"].post(f"/api/organizations/{team.organization_id}/invitations", body)).json()
    assert (await accept(team["outsider"], invited["token"])).status_code == 200


async def test_r19_a_newer_invitation_replaces_the_older(team: Team) -> None:
    older, newer = await invite(team), await invite(team, role="outsider", by="admin")
    replaced = await accept(team["outsider"], older["token"])
    assert replaced.status_code == 410
    assert replaced.json()["detail"] == (
        "This invitation was canceled, or replaced by a newer one: open the newest link, or ask for another."
    )
    listed = (await team["owner"].get(f"/api/organizations/{team.organization_id}/members")).json()
    assert [one["id"] for one in listed["pending_invitations"]] == [newer["invitation_id"]]
    assert (await accept(team["outsider"], newer["token"])).status_code == 200


async def test_a_canceled_invitation_has_ended(team: Team) -> None:
    invited = await invite(team)
    path = f"/api/organizations/{team.organization_id}/invitations/{invited['invitation_id']}"
    assert (await team["member"].delete(path)).status_code == 403
    assert (await team["admin"].delete(path)).json() == {"message": "Invitation canceled successfully"}
    assert (await team["admin"].delete(path)).status_code == 404
    assert (await accept(team["outsider"], invited["token"])).status_code == 410
    assert (await team["outsider"].get("/api/invitations/pending")).json() == []


async def test_an_admin_of_the_project_cancels_its_invitations_and_no_others(team: Team) -> None:
    to_organization = await invite(team)
    sent = (team.emails["outsider"], f"/api/projects/{team.project_id}/invitations")
    invited = (await team["project_admin"].post(sent[1], {"email": sent[0], "role": "viewer"})).json()
    base = f"/api/organizations/{team.organization_id}/invitations"
    path = f"{base}/{invited['invitation_id']}"
    for role in ("editor", "member"):
        refused = await team[role].delete(path)
        assert refused.status_code == 403
        assert refused.json() == (await team[role].delete(f"{base}/inv_x")).json()
    assert (await team["project_admin"].delete(f"{base}/{to_organization['invitation_id']}")).status_code == 403
    assert (await team["project_admin"].delete(path)).status_code == 200
    assert (await team["project_admin"].delete(path)).status_code == 404
    assert (await accept(team["outsider"], invited["token"])).status_code == 410


async def test_an_expired_invitation_has_ended(team: Team, database: Database) -> None:
    invited = await invite(team)
    with database.write() as session:
        session.get_one(Invitation, invited["invitation_id"]).expires_at = now() - timedelta(seconds=1)
    assert (await accept(team["outsider"], invited["token"])).status_code == 410
    assert (await team["outsider"].get("/api/invitations/pending")).json() == []


async def test_r19_a_letter_goes_to_the_mailbox_that_was_written(team: Team) -> None:
    """ß and ss are two domains, of two owners."""
    path = f"/api/organizations/{team.organization_id}/invitations"
    for written, kept in (
        ("Anna@Straße.example", "anna@straße.example"),
        ("ANNA@STRASSE.example", "anna@strasse.example"),
    ):
        invited = await team["owner"].post(path, {"email": written, "role": "member"})
        assert invited.json()["email"] == kept


@pytest.mark.parametrize("loss", ["removed", "lowered", "account deleted"])
async def test_r19_an_invitation_ends_when_its_sender_may_no_longer_invite(team: Team, loss: str) -> None:
    invited = await invite(team, by="admin")
    path = f"/api/organizations/{team.organization_id}/members/{team.ids['admin']}"
    if loss == "removed":
        await team["owner"].delete(path)
    elif loss == "lowered":
        await team["owner"].put(path, {"role": "member"})
    else:
        assert (await team["admin"].delete("/api/users/me")).status_code == 200
    assert (await accept(team["outsider"], invited["token"])).status_code == 410
    assert (await team["outsider"].get("/api/invitations/pending")).json() == []
    members = (await team["owner"].get(f"/api/organizations/{team.organization_id}/members")).json()
    assert members["pending_invitations"] == []


async def test_the_invited_account_can_use_the_id_from_its_list(team: Team) -> None:
    invited = await invite(team)
    [waiting] = (await team["outsider"].get("/api/invitations/pending")).json()
    assert waiting["invitation_id"] == invited["invitation_id"]
    path = f"/api/invitations/{invited['invitation_id']}"
    assert (await team["outsider"].get(path)).json() == waiting
    for other in ("anonymous", "member", "owner"):
        assert (await team[other].get(path)).status_code == 404
    assert (await accept(team["member"], invited["invitation_id"])).status_code == 404
    assert (await accept(team["outsider"], invited["invitation_id"])).status_code == 200


async def test_the_list_is_empty_until_the_address_is_confirmed(team: Team, database: Database) -> None:
    unverify(database, team.ids["outsider"])
    first, second = await invite(team), await invite_elsewhere(team)
    assert (await team["outsider"].get("/api/invitations/pending")).json() == []
    assert (await team["outsider"].get("/api/notifications")).json()["notifications"] == []
    assert (await accept(team["outsider"], first["invitation_id"])).status_code == 404
    assert (await accept(team["outsider"], first["token"])).status_code == 200
    assert (await team["outsider"].get("/api/users/me")).json()["email_verified"] is False
    assert (await team["outsider"].get("/api/invitations/pending")).json() == []
    with database.write() as session:
        users.verify_email(session, session.get_one(User, team.ids["outsider"]))
    [waiting] = (await team["outsider"].get("/api/invitations/pending")).json()
    assert waiting["invitation_id"] == second["invitation_id"]
    notifications = (await team["outsider"].get("/api/notifications")).json()["notifications"]
    assert [one["type"] for one in notifications] == ["invitation_received"]


async def invite_elsewhere(team: Team) -> dict[str, Any]:
    body = {"email": team.emails["outsider"], "role": "viewer"}
    answer = await team["project_admin"].post(f"/api/projects/{team.project_id}/invitations", body)
    invited: dict[str, Any] = answer.json()
    return invited


async def test_inviter_and_invited_person_are_notified(team: Team) -> None:
    invited = await invite(team)
    [received] = (await team["outsider"].get("/api/notifications")).json()["notifications"]
    assert (received["type"], received["metadata"]["invitation_id"]) == (
        "invitation_received",
        invited["invitation_id"],
    )
    await accept(team["outsider"], invited["token"])
    [accepted] = (await team["owner"].get("/api/notifications")).json()["notifications"]
    assert (accepted["type"], accepted["metadata"]["user_id"]) == ("invitation_accepted", team.ids["outsider"])


async def test_declining_ends_the_invitation(team: Team) -> None:
    invited = await invite(team)
    answer = await team["outsider"].post(f"/api/invitations/{invited['invitation_id']}/decline", None)
    assert answer.status_code == 200
    assert (await accept(team["outsider"], invited["token"])).status_code == 410
    assert (await team["outsider"].get(f"/api/organizations/{team.organization_id}")).status_code == 404


async def test_a_member_cannot_be_invited(team: Team) -> None:
    path = f"/api/organizations/{team.organization_id}/invitations"
    for role in ("owner", "viewer"):
        assert (await team["owner"].post(path, {"email": team.emails[role], "role": "admin"})).status_code == 409
    in_project = f"/api/projects/{team.project_id}/invitations"
    for role, status in (("viewer", 409), ("admin", 409), ("member", 200)):
        answer = await team["owner"].post(in_project, {"email": team.emails[role], "role": "editor"})
        assert answer.status_code == status, role


async def test_accepting_never_lowers_a_role(team: Team) -> None:
    body = {"email": team.emails["member"], "role": "viewer"}
    invited = (await team["owner"].post(f"/api/projects/{team.project_id}/invitations", body)).json()
    await team["owner"].post(
        f"/api/projects/{team.project_id}/members", {"user_id": team.ids["member"], "role": "editor"}
    )
    await team["owner"].put(
        f"/api/organizations/{team.organization_id}/members/{team.ids['member']}", {"role": "admin"}
    )
    assert (await accept(team["member"], invited["token"])).json()["projects_added"] == 0
    assert (await team["member"].get(f"/api/organizations/{team.organization_id}")).json()["role"] == "admin"
    await team["owner"].put(
        f"/api/organizations/{team.organization_id}/members/{team.ids['member']}", {"role": "member"}
    )
    assert (await team["member"].get(f"/api/projects/{team.project_id}")).json()["role"] == "editor"


async def test_r04_projects_of_others_cannot_be_brought(team: Team) -> None:
    [foreign] = (await team["outsider"].get("/api/projects")).json()["projects"]
    path = f"/api/organizations/{team.organization_id}/invitations"
    for project_id in (foreign["id"], "proj_" + "0" * 32):
        body = {"email": "n@example.com", "role": "member", "projectIds": [project_id]}
        answer = await team["owner"].post(path, body)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Project not found."})


WRONG: tuple[tuple[dict[str, object], str], ...] = (
    ({"role": "member"}, "email"),
    ({"email": "nobody", "role": "member"}, "email"),
    ({"email": "a@b", "role": "member"}, "email"),
    ({"email": "ann@example", "role": "member"}, "email"),
    ({"email": "ann@example..com", "role": "member"}, "email"),
    ({"email": ".ann@example.com", "role": "member"}, "email"),
    ({"email": "a" * 65 + "@example.com", "role": "member"}, "email"),
    ({"email": "a@example.com\r\nBcc: b@example.com", "role": "member"}, "email"),
    ({"email": "a@example.com, b@example.com", "role": "member"}, "email"),
    ({"email": "a@example.com"}, "role"),
    ({"email": "a@example.com", "role": "owner"}, "role"),
    ({"email": "a@example.com", "role": "member", "projectIds": "x"}, "projectIds"),
    ({"email": "a@example.com", "role": "member", "projectRoles": {"x": "owner"}}, "projectRoles"),
)


@pytest.mark.sqlite_only
async def test_a_refusal_names_the_wrong_field(team: Team) -> None:
    for body, field in WRONG:
        answer = await team["owner"].post(f"/api/organizations/{team.organization_id}/invitations", body)
        assert answer.status_code == 400
        assert answer.json()["detail"].startswith(field)


@pytest.mark.sqlite_only
async def test_an_unknown_token_is_not_found(team: Team) -> None:
    for handle in ("nonsense", "sm_in_" + "0" * 32, "inv_" + "0" * 32):
        assert (await team["anonymous"].get(f"/api/invitations/{handle}")).status_code == 404
        assert (await accept(team["outsider"], handle)).status_code == 404
