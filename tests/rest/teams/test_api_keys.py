"""API keys: shown once, no stronger than their creator's role, invalid once deleted."""

import re
from datetime import datetime

import pytest

from server.models import ApiKey
from server.storage.database import Database
from tests.rest.conftest import said
from tests.support.team import Team


def keys(team: Team, *more: str) -> str:
    return "/".join((f"/api/projects/{team.project_id}/api-keys", *more))


async def test_r13_a_key_is_shown_once_and_works(team: Team, database: Database) -> None:
    created = (await team["editor"].post(keys(team), {"name": " Laptop ", "expires_in_days": 30})).json()
    assert re.fullmatch(r"sk_im_[0-9A-Za-z]{38,}", created["api_key"])
    assert created["api_key"].startswith(created["prefix"])
    assert created["prefix"] == created["key_prefix"]
    assert created["id"] == created["api_key_id"]
    assert (created["name"], created["permissions"]) == ("Laptop", ["read", "write"])
    lifetime = datetime.fromisoformat(created["expires_at"]) - datetime.fromisoformat(created["created_at"])
    assert lifetime.days == 30
    used = await team["anonymous"].send(
        "POST", "/api/memories", said("Tea."), Authorization=f"Bearer {created['api_key']}"
    )
    assert used.status_code == 200
    listed = await team["editor"].get(keys(team))
    assert created["api_key"] not in listed.text
    [shown] = [one for one in listed.json()["api_keys"] if one["id"] == created["id"]]
    assert shown["created_by"] == team.ids["editor"]
    assert shown["last_used_at"] is not None
    assert listed.json()["total"] == 3
    with database.read() as session:
        row = session.get_one(ApiKey, created["id"])
        assert created["api_key"] not in repr(row)


WRONG: tuple[tuple[dict[str, object], str], ...] = (
    ({}, "name"),
    ({"name": ""}, "name"),
    ({"name": "  "}, "name"),
    ({"name": "x" * 101}, "name"),
    ({"name": "a", "permissions": []}, "permissions"),
    ({"name": "a", "permissions": ["admin"]}, "permissions"),
    ({"name": "a", "permissions": "read"}, "permissions"),
    ({"name": "a", "expires_in_days": 0}, "expires_in_days"),
    ({"name": "a", "expires_in_days": 3651}, "expires_in_days"),
    ({"name": "a", "expires_in_days": "soon"}, "expires_in_days"),
    ({"name": "a", "expires_in_days": True}, "expires_in_days"),
)


@pytest.mark.sqlite_only
async def test_a_refusal_names_the_wrong_field_and_creates_no_key(team: Team) -> None:
    for body, field in WRONG:
        answer = await team["owner"].post(keys(team), body)
        assert answer.status_code == 400
        assert answer.json()["detail"].startswith(field)
    assert (await team["owner"].get(keys(team))).json()["total"] == 2


@pytest.mark.sqlite_only
async def test_r18_a_key_cannot_create_a_key(team: Team) -> None:
    for key in ("read_key", "write_key"):
        answer = await team[key].post(keys(team), {"name": "more"})
        assert answer.status_code == 403


async def test_a_viewer_creates_and_sees_only_its_own_read_only_keys(team: Team) -> None:
    assert (await team["viewer"].post(keys(team), {"name": "writing"})).status_code == 403
    created = await team["viewer"].post(keys(team), {"name": "reading", "permissions": ["read"]})
    listed = (await team["viewer"].get(keys(team))).json()
    assert [one["id"] for one in listed["api_keys"]] == [created.json()["id"]]
    assert (await team["editor"].get(keys(team))).json()["total"] == 3


async def test_a_key_is_deleted_by_its_creator_or_an_admin(team: Team) -> None:
    created = (await team["editor"].post(keys(team), {"name": "mine"})).json()
    path = keys(team, created["id"])
    assert (await team["viewer"].delete(path)).status_code == 404
    of_admin = (await team["project_admin"].get(keys(team))).json()["api_keys"][-1]
    assert (await team["editor"].delete(keys(team, of_admin["id"]))).status_code == 403
    assert (await team["project_admin"].delete(path)).status_code == 200
    assert (await team["project_admin"].delete(path)).status_code == 404
    gone = await team["anonymous"].send("GET", "/api/memories", Authorization=f"Bearer {created['api_key']}")
    assert gone.status_code == 401
    own = (await team["editor"].post(keys(team), {"name": "mine"})).json()
    assert (await team["editor"].delete(keys(team, own["id"]))).status_code == 200


@pytest.mark.sqlite_only
async def test_r11_all_invalid_credentials_get_the_same_answer(team: Team) -> None:
    key = team["read_key"].headers["Authorization"].removeprefix("Bearer ")
    session = team["owner"].headers["Authorization"].removeprefix("Session ")
    others = [
        f"Bearer {key[:-1]}{'a' if key[-1] != 'a' else 'b'}", f"Bearer {key}x", "Bearer sk_im_short", "Bearer nonsense",
        f"Bearer {session}", f"Session {key}", f"Basic {key}", f"Token {key}", f"ApiKey {key}", f"{key} x",
        "Bearer", "Bearer ", "Session nonsense",
    ]  # fmt: skip
    answers = [await team["anonymous"].send("GET", "/api/users/me", Authorization=one) for one in others]
    assert {(one.status_code, one.text) for one in answers} == {(401, answers[0].text)}
    assert all(one.headers["WWW-Authenticate"].startswith("Bearer ") for one in answers)
    cookie = await team["anonymous"].send("GET", "/api/users/me", Cookie=f"ory_kratos_session={key}")
    assert cookie.status_code == 401


async def test_administrators_are_notified_of_new_and_deleted_keys(team: Team) -> None:
    created = (await team["editor"].post(keys(team), {"name": "mine"})).json()
    await team["editor"].delete(keys(team, created["id"]))
    for role in ("owner", "admin", "project_admin"):
        answer = (await team[role].get("/api/notifications")).json()
        assert [one["type"] for one in answer["notifications"]] == ["api_key_deleted", "api_key_created"]
        assert answer["unread_count"] == 2
    assert (await team["viewer"].get("/api/notifications")).json()["notifications"] == []
    own = (await team["viewer"].post(keys(team), {"name": "mine", "permissions": ["read"]})).json()["id"]
    await team["admin"].delete(f"{keys(team)}/{own}")
    [told] = (await team["viewer"].get("/api/notifications")).json()["notifications"]
    assert told["message"] == "The API key “mine” was deleted in the project “Wiki”."


async def test_the_audit_trail_still_names_a_deleted_key(team: Team) -> None:
    created = (await team["editor"].post(keys(team), {"name": "old laptop"})).json()
    await team["editor"].send("PATCH", keys(team, created["id"]), {"name": "laptop"})
    await team["editor"].delete(keys(team, created["id"]))
    events = (await team["owner"].get(f"/api/organizations/{team.organization_id}/audit")).json()["events"]
    named = [(one["type"], one["metadata"]["name"]) for one in events if one["target"] == created["id"]]
    assert named == [("api_key.deleted", "laptop"), ("api_key.renamed", "laptop"), ("api_key.created", "old laptop")]
    assert {one["metadata"]["prefix"] for one in events if one["target"] == created["id"]} == {created["prefix"]}
    page = await team["owner"].send("GET", f"/dashboard/organizations/{team.organization_id}/activity")
    assert page.text.count("laptop") == 3
