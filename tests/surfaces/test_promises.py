"""Check every endpoint, parameter, answer key and status of the contract over HTTP."""

import json
from typing import Any

import pytest

from rest.endpoint import Reach
from rest.routes import ENDPOINTS
from server.domain.teams.api_keys import MAX_PER_PERSON
from server.models import ApiKey
from server.storage.database import Database
from tests.support.team import Team
from tests.surfaces.promises import ANYTHING, ELSEWHERE, PROMISES, Promise, Shape

GONE = {"email": "gone@example.com", "role": "member"}
PROMISED = {(promise.method, promise.path) for promise in PROMISES}


@pytest.fixture
async def things(team: Team, database: Database) -> dict[str, str]:
    """Create one object of each kind, for the `{…}` of a promise. The admin has as many keys as allowed."""
    with database.write() as session:
        for number in range(MAX_PER_PERSON):
            text = f"full-{number}"
            session.add(
                ApiKey(
                    project_id=team.project_id,
                    created_by=team.ids["admin"],
                    name=text,
                    prefix=text,
                    token_hash=text,
                    permissions=["read"],
                )
            )
    key = (await team["owner"].post(f"/api/projects/{team.project_id}/api-keys", {"name": "one"})).json()
    invitation = {"email": team.emails["outsider"], "role": "member"}
    invited = await team["owner"].post(f"/api/organizations/{team.organization_id}/invitations", invitation)
    ended = (await team["owner"].post(f"/api/organizations/{team.organization_id}/invitations", GONE)).json()
    await team["owner"].delete(f"/api/organizations/{team.organization_id}/invitations/{ended['invitation_id']}")
    await team["owner"].post("/api/projects", {"name": "Second", "organization_id": team.organization_id})
    told = (await team["outsider"].get("/api/notifications")).json()["notifications"]
    places = (await team["owner"].get("/api/organizations")).json()["organizations"]
    return {
        "organization_id": team.organization_id,
        "personal_id": next(place["id"] for place in places if place["type"] == "personal"),
        "project_id": team.project_id,
        "user_id": team.ids["target"],
        "member_id": team.ids["member"],
        "owner_id": team.ids["owner"],
        "owner_email": team.emails["owner"],
        "memory_id": await team["write_key"].add("I like tea.", metadata={"tags": "a", "people_mentioned": "Ann"}),
        "key_id": key["id"],
        "invitation_id": invited.json()["invitation_id"],
        "token": invited.json()["token"],
        "ended": ended["token"],
        "notification_id": told[0]["id"],
    }


def test_every_route_is_promised_and_every_promise_has_a_route() -> None:
    served = {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}
    elsewhere = {(method, path) for method, path in served if path.startswith(ELSEWHERE)}
    assert served - elsewhere == PROMISED


def test_every_documented_failure_of_a_route_is_tested() -> None:
    """Failures that every route shares (403, 404, 413, 429 …) have tests of their own."""
    tried = {(promise.method, promise.path): {refusal.status for refusal in promise.refusals} for promise in PROMISES}
    for endpoint in ENDPOINTS:
        if not endpoint.path.startswith(ELSEWHERE):
            expected = {*endpoint.failures} - {503}
            expected |= {400} if endpoint.body else set()
            expected |= {401} if endpoint.reach is not Reach.ANYBODY else set()
            assert expected <= tried[endpoint.method, endpoint.path], endpoint.path


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: f"{promise.method} {promise.path}")
async def test_the_promise_is_kept(promise: Promise, team: Team, things: dict[str, str]) -> None:
    for refusal in promise.refusals:
        path = filled(refusal.path or promise.path + promise.query, things)
        caller = team[refusal.caller or promise.caller]
        refused = await caller.send(promise.method, path, filled(body_of(promise, refusal), things))
        assert refused.status_code == refusal.status, (refusal, refused.text)
        assert list(refused.json()) == ["detail"]
        assert isinstance(refused.json()["detail"], str)
    path = filled(promise.path + promise.query, things)
    answer = await team[promise.caller].send(promise.method, path, filled(promise.body, things))
    assert answer.status_code == 200, answer.text
    assert answer.headers["X-Request-ID"]
    assert_shape(answer.json(), promise.shape)


def body_of(promise: Promise, refusal: object) -> object:
    """Return the refusal's body, else the promise's. A 415 sends none."""
    status, body = getattr(refusal, "status", 0), getattr(refusal, "body", None)
    return None if status == 415 else promise.body if body is None else body


def filled(value: Any, things: dict[str, str]) -> Any:
    text = json.dumps(value)
    for name, thing in things.items():
        text = text.replace(f"{{{name}}}", thing)
    return json.loads(text)


def assert_shape(value: object, shape: Shape, at: str = "") -> None:
    """Require exactly these keys at every depth, and a list that is not empty unless its content is free."""
    if isinstance(shape, dict):
        assert isinstance(value, dict), at
        assert set(value) == set(shape), at
        for name, inner in shape.items():
            assert_shape(value[name], inner, f"{at}.{name}")
    elif isinstance(shape, list):
        assert isinstance(value, list), at
        assert value or shape == [ANYTHING], f"{at} is empty"
        for item in value:
            assert_shape(item, shape[0], f"{at}[]")
    elif shape is not ANYTHING:
        assert not isinstance(value, dict | list), at
