"""Races: constraints and locks decide them. One of 20 parallel requests wins, the others get a clear sentence."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable

import httpx
import pytest
from sqlmodel import select

from server.models import Organization, OrganizationRole
from server.storage.database import Database
from tests.rest.conftest import Caller
from tests.support.team import Team

TRIES = 20
ROUNDS = 5


async def at_once(tries: Iterable[Awaitable[httpx.Response]]) -> list[httpx.Response]:
    answers = await asyncio.gather(*tries)
    assert all(answer.status_code < 500 for answer in answers), [answer.text for answer in answers]
    assert all(answer.status_code == 200 or answer.json()["detail"].endswith(".") for answer in answers)
    return answers


def statuses(answers: Iterable[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


async def test_of_simultaneous_equal_names_one_is_created(team: Team) -> None:
    organizations = await at_once(team["outsider"].post("/api/organizations", {"name": "Same"}) for _ in range(TRIES))
    assert statuses(organizations) == {200: 1, 409: TRIES - 1}
    body = {"name": "Same", "organization_id": team.organization_id}
    projects = await at_once(team[("owner", "admin")[n % 2]].post("/api/projects", body) for n in range(TRIES))
    assert statuses(projects) == {200: 1, 409: TRIES - 1}


async def test_r19_an_invitation_is_accepted_once(team: Team) -> None:
    path = f"/api/organizations/{team.organization_id}"
    body = {"email": team.emails["outsider"], "role": "member", "projectIds": [team.project_id]}
    created = (await team["owner"].post(f"{path}/invitations", body)).json()
    handles = (created["token"], created["invitation_id"])
    answers = await at_once(
        team["outsider"].post(f"/api/invitations/{handles[n % 2]}/accept", None) for n in range(TRIES)
    )
    assert statuses(answers) == {200: 1, 410: TRIES - 1}
    members = (await team["owner"].get(f"{path}/members")).json()["members"]
    assert [one["userId"] for one in members].count(team.ids["outsider"]) == 1


async def test_an_address_has_one_pending_invitation(team: Team) -> None:
    path = f"/api/organizations/{team.organization_id}"
    body = {"email": "n@example.com", "role": "member"}
    answers = await at_once(team["owner"].post(f"{path}/invitations", body) for _ in range(TRIES))
    assert statuses(answers)[200] >= 1
    pending = (await team["owner"].get(f"{path}/members")).json()["pending_invitations"]
    assert len(pending) == 1
    usable = [
        (await team["anonymous"].get(f"/api/invitations/{answer.json()['token']}")).status_code
        for answer in answers
        if answer.status_code == 200
    ]
    assert Counter(usable)[200] == 1


async def test_a_member_is_added_once(team: Team) -> None:
    body = {"user_id": team.ids["member"], "role": "editor"}
    path = f"/api/projects/{team.project_id}/members"
    answers = await at_once(team["project_admin"].post(path, body) for _ in range(TRIES))
    assert statuses(answers) == {200: 1, 409: TRIES - 1}


@pytest.mark.parametrize("verb", ["leave", "demote"])
async def test_a_project_always_keeps_one_admin(team: Team, verb: str) -> None:
    created = await team["admin"].post("/api/projects", {"name": "Shared", "organization_id": team.organization_id})
    members = f"/api/projects/{created.json()['id']}/members"
    admins = ("project_admin", "editor")
    for role in admins:
        await team["owner"].post(members, {"user_id": team.ids[role], "role": "admin"})
    await team["owner"].delete(f"{members}/{team.ids['admin']}")

    def attempt(number: int) -> Awaitable[httpx.Response]:
        mine, other = admins[number % 2], admins[1 - number % 2]
        if verb == "leave":
            return team[mine].delete(f"{members}/{team.ids[mine]}")
        return team[mine].put(f"{members}/{team.ids[other]}", {"role": "viewer"})

    answers = await at_once(attempt(number) for number in range(TRIES))
    winners = {number % 2 for number, answer in enumerate(answers) if answer.status_code == 200}
    assert len(winners) == 1  # demoting the same person again changes nothing
    assert set(statuses(answers)) <= {200, 403, 404, 409}
    left = (await team["owner"].get(members)).json()["members"]
    assert sum(one["userId"] in (team.ids[role] for role in admins) and one["role"] == "admin" for one in left) == 1


async def test_r20_there_is_always_one_owner(make_team: Callable[[], Team]) -> None:
    for _ in range(ROUNDS):
        team = make_team()
        path = f"/api/organizations/{team.organization_id}"
        heirs = [team.ids[role] for role in ("admin", "member", "viewer", "editor")]
        tries = [team["owner"].put(f"{path}/transfer-ownership", {"new_owner_id": heir}) for heir in heirs]
        tries += [team[role].delete(f"{path}/members/{team.ids[role]}") for role in ("member", "viewer", "owner")]
        tries += [team[role].delete("/api/users/me") for role in ("owner", "editor")]
        await at_once(tries)
        members = (await team["project_admin"].get(f"{path}/members")).json()["members"]
        assert [one["role"] for one in members].count(OrganizationRole.OWNER) == 1
        assert len({one["userId"] for one in members}) == len(members)
        assert all(one["email"] for one in members)


async def test_of_a_transfer_and_a_deletion_one_wins(make_team: Callable[[], Team]) -> None:
    for _ in range(ROUNDS):
        team = make_team()
        path = f"/api/organizations/{team.organization_id}"
        transfer, delete = await at_once(
            [
                team["owner"].put(f"{path}/transfer-ownership", {"new_owner_id": team.ids["member"]}),
                team["owner"].delete(path),
            ]
        )
        assert (transfer.status_code, delete.status_code) in {(200, 403), (404, 200)}


async def test_a_key_created_while_its_creator_is_removed_never_works_again(make_team: Callable[[], Team]) -> None:
    for _ in range(ROUNDS):
        team = make_team()
        member = f"/api/projects/{team.project_id}/members/{team.ids['editor']}"
        created, _removed = await at_once(
            [
                team["editor"].post(f"/api/projects/{team.project_id}/api-keys", {"name": "late"}),
                team["project_admin"].delete(member),
            ]
        )
        await team["project_admin"].post(
            f"/api/projects/{team.project_id}/members", {"user_id": team.ids["editor"], "role": "editor"}
        )
        if created.status_code == 200:
            key = Caller(team["anonymous"].client, {"Authorization": f"Bearer {created.json()['api_key']}"})
            assert (await key.get("/api/memories")).status_code == 401


async def test_joining_a_project_while_removed_from_the_organization_gives_no_access(
    make_team: Callable[[], Team],
) -> None:
    for _ in range(ROUNDS):
        team = make_team()
        await at_once(
            [
                team["project_admin"].post(
                    f"/api/projects/{team.project_id}/members", {"user_id": team.ids["member"], "role": "editor"}
                ),
                team["owner"].delete(f"/api/organizations/{team.organization_id}/members/{team.ids['member']}"),
            ]
        )
        assert (await team["member"].get(f"/api/projects/{team.project_id}")).status_code == 404


async def test_a_key_and_an_account_are_deleted_once(team: Team) -> None:
    keys = f"/api/projects/{team.project_id}/api-keys"
    key_id = (await team["editor"].post(keys, {"name": "one"})).json()["id"]
    deleted = await at_once(team["project_admin"].delete(f"{keys}/{key_id}") for _ in range(TRIES))
    assert statuses(deleted) == {200: 1, 404: TRIES - 1}
    gone = await at_once(team["viewer"].delete("/api/users/me") for _ in range(TRIES))
    assert statuses(gone) == {200: 1, 401: TRIES - 1}


async def test_nothing_outlives_an_account_that_is_deleted_at_the_same_moment(
    make_team: Callable[[], Team], database: Database
) -> None:
    for _ in range(ROUNDS):
        team = make_team()
        user_id, outsider = team.ids["outsider"], team["outsider"]
        invited = await team["owner"].post(
            f"/api/organizations/{team.organization_id}/invitations",
            {"email": team.emails["outsider"], "role": "member"},
        )
        accepting = f"/api/invitations/{invited.json()['token']}/accept"
        await at_once(
            [
                outsider.post(accepting, None),
                outsider.post("/api/organizations", {"name": "Left behind"}),
                outsider.delete("/api/users/me"),
                outsider.post("/api/organizations", {"name": "Left over"}),
            ]
        )
        assert (await outsider.get("/api/users/me")).status_code in (200, 401)
        if (await outsider.get("/api/users/me")).status_code == 401:
            with database.read() as session:
                assert session.exec(select(Organization).where(Organization.owner_id == user_id)).all() == []
            members = (await team["owner"].get(f"/api/organizations/{team.organization_id}/members")).json()
            assert user_id not in [one["userId"] for one in members["members"]]


async def test_an_invitation_can_be_answered_while_its_organization_is_deleted(make_team: Callable[[], Team]) -> None:
    for _ in range(ROUNDS):
        team = make_team()
        path = f"/api/organizations/{team.organization_id}"
        body = {"email": team.emails["outsider"], "role": "member"}
        token = (await team["owner"].post(f"{path}/invitations", body)).json()["token"]
        accepted, _, shown = await at_once(
            [
                team["outsider"].post(f"/api/invitations/{token}/accept", None),
                team["owner"].delete(path),
                team["anonymous"].get(f"/api/invitations/{token}"),
            ]
        )
        assert accepted.status_code in (200, 404)
        assert shown.status_code in (200, 404, 410)
        assert (await team["outsider"].get(path)).status_code == 404
