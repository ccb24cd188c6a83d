"""Keys and sessions have a bound, and a person who creates many buries nobody's notices."""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import col

from server.domain.people import sessions, users
from server.domain.people.sessions import BrowserInfo
from server.hashing import token_hash
from server.models import ApiKey, BrowserSession, User
from server.models.base import now
from server.storage.database import Database
from tests.rest.conftest import Caller
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


async def test_a_new_session_replaces_the_one_unused_for_the_longest_time(
    team: Team, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 3)

    def signed_in() -> dict[str, str]:
        with database.write() as session:
            owner = session.get_one(User, team.ids["owner"])
            return {"Authorization": f"Session {sessions.begin(session, owner, BrowserInfo(days=1))}"}

    first, second = signed_in(), signed_in()
    unused = sa.update(BrowserSession).where(col(BrowserSession.token_hash) == token_hash(first["Authorization"][8:]))
    with database.write() as session:
        session.execute(unused.values(last_seen_at=now() - timedelta(hours=1)))
    answers = [await Caller(team["owner"].client, one).get("/api/users/me") for one in (signed_in(), second, first)]
    assert [answer.status_code for answer in answers] == [200, 200, 401]
    assert (await team["owner"].get("/api/users/me")).status_code == 200


async def test_nothing_changes_once_the_session_or_key_has_ended(team: Team, database: Database) -> None:
    """The door reads the credential before the body, and a sender decides how long a body takes."""

    async def body(sent: object) -> AsyncIterator[bytes]:
        with database.write() as session:
            session.execute(sa.delete(ApiKey))
            users.end_sessions(session, user_id)
        yield json.dumps(sent).encode()

    organization, project = f"/api/organizations/{team.organization_id}", f"/api/projects/{team.project_id}"
    target = team.ids["target"]
    invitation = {"email": "accomplice@example.com"}
    for method, path, sent in (
        ("POST", "/api/memories/batch", {"memories": [{"content": "Left behind"}]}),
        ("POST", keys(team), {"name": "left behind"}),
        ("POST", f"{project}/invitations", {**invitation, "role": "viewer"}),
        ("POST", f"{organization}/invitations", {**invitation, "role": "member"}),
        ("POST", "/api/organizations", {"name": "Left behind"}),
        ("PUT", f"{organization}/transfer-ownership", {"new_owner_id": target}),
        ("PUT", f"{organization}/members/{target}", {"role": "admin"}),
        ("PATCH", project, {"trash_days": 0}),
        ("DELETE", "/api/memories", {"project_id": team.project_id}),
        ("DELETE", project, {}),
        ("DELETE", organization, {}),
        ("DELETE", "/api/users/me", {}),
    ):
        user_id = target if path == "/api/users/me" else team.ids["owner"]
        with database.write() as session:
            value = sessions.begin(session, session.get_one(User, user_id), BrowserInfo(days=1))
        credential = team["write_key"].headers if path.endswith("batch") else {"Authorization": f"Session {value}"}
        headers = {**credential, "Content-Type": "application/json"}
        answer = await team["owner"].client.request(method, path, content=body(sent), headers=headers)
        ended = "The session, key or connection of this request has ended. Sign in or connect again."
        assert (answer.status_code, answer.json().get("detail")) == (401, ended), path
