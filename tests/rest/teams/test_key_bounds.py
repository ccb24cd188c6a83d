"""Keys have a bound, and a person who creates many buries nobody's notices."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from server.database import Database
from server.domain.people import sessions
from server.domain.people.sessions import BrowserInfo
from server.models import User
from tests.support.team import Team


def keys(team: Team) -> str:
    return f"/api/projects/{team.project_id}/api-keys"


async def notices(team: Team, role: str = "owner") -> Sequence[dict[str, Any]]:
    listed: Sequence[dict[str, Any]] = (await team[role].get("/api/notifications")).json()["notifications"]
    return listed


async def test_a_person_has_at_most_50_keys_in_a_project(team: Team) -> None:
    for number in range(50):
        created = await team["viewer"].post(keys(team), {"name": f"k{number}", "permissions": ["read"]})
        assert created.status_code == 200
    refused = await team["viewer"].post(keys(team), {"name": "more", "permissions": ["read"]})
    assert refused.status_code == 409
    assert refused.json()["detail"] == "You have 50 API keys in this project, which is the limit: delete one first."
    assert (await team["editor"].post(keys(team), {"name": "mine"})).status_code == 200
    await team["viewer"].delete(f"{keys(team)}/{created.json()['id']}")
    assert (await team["viewer"].post(keys(team), {"name": "k", "permissions": ["read"]})).status_code == 200


async def test_many_keys_of_one_person_are_one_unread_notice(team: Team) -> None:
    await team["editor"].post(keys(team), {"name": "first"})
    for number in range(8):
        key = (await team["viewer"].post(keys(team), {"name": f"k{number}", "permissions": ["read"]})).json()
        await team["viewer"].delete(f"{keys(team)}/{key['id']}")
    listed = await notices(team)
    assert [one["type"] for one in listed] == ["api_key_deleted", "api_key_created", "api_key_created"]
    assert [one["metadata"].get("count") for one in listed] == [8, 8, 1]
    several = "8 API keys were created in the project “Wiki” by Viewer. The last one was “k7”."
    assert listed[1]["message"] == several
    assert listed[2]["message"] == "The API key “first” was created in the project “Wiki”."


async def test_a_notice_that_was_read_is_not_taken_back(team: Team) -> None:
    await team["viewer"].post(keys(team), {"name": "one", "permissions": ["read"]})
    await team["owner"].put("/api/notifications/read-all", None)
    await team["viewer"].post(keys(team), {"name": "two", "permissions": ["read"]})
    assert [(one["read"], one["metadata"]["count"]) for one in await notices(team)] == [(False, 1), (True, 1)]


async def test_a_role_changed_often_is_one_unread_notice_of_the_last_role(team: Team) -> None:
    path = f"/api/organizations/{team.organization_id}/members/{team.ids['target']}"
    for role in ("admin", "member") * 3:
        assert (await team["owner"].put(path, {"role": role})).status_code == 200
    [notice] = await notices(team, "target")
    assert (notice["type"], notice["metadata"]["role"]) == ("role_changed", "member")


async def test_what_outlives_a_session_is_not_created_once_the_session_has_ended(
    team: Team, database: Database
) -> None:
    """The door reads the credential before the body, and a sender decides how long a body takes."""

    async def body(text: bytes) -> AsyncIterator[bytes]:
        with database.write() as session:
            sessions.end_all(session, team.ids[who])
        yield text

    invitation = b'{"email": "accomplice@example.com", "role": "viewer"}'
    for who, method, path, sent in (
        ("owner", "POST", keys(team), b'{"name": "left behind"}'),
        ("owner", "POST", f"/api/projects/{team.project_id}/invitations", invitation),
        (
            "owner",
            "POST",
            f"/api/organizations/{team.organization_id}/invitations",
            invitation.replace(b"viewer", b"member"),
        ),
        ("owner", "POST", "/api/organizations", b'{"name": "Left behind"}'),
        ("target", "DELETE", "/api/users/me", b"{}"),
    ):
        with database.write() as session:
            value = sessions.begin(session, session.get_one(User, team.ids[who]), BrowserInfo(days=1))
        headers = {"Authorization": f"Session {value}", "Content-Type": "application/json"}
        answer = await team[who].client.request(method, path, content=body(sent), headers=headers)
        assert answer.status_code == 401, path
