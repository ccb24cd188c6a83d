"""What the caller may not see gets the same answer as what does not exist, on every route with an id (R1)."""

from typing import Any

import httpx
import pytest

from rest.endpoint import Reach
from rest.routes import ENDPOINTS
from tests.rest.conftest import Caller, said
from tests.support.team import Team

pytestmark = pytest.mark.sqlite_only

BODIES: dict[str, object] = {
    "PUT /api/memories/{memory_id}": {"text": "changed"},
    "PATCH /api/memories/{memory_id}": {"content": "changed"},
    "POST /api/memories/{memory_id}/restore": {"version": 1},
    "PATCH /api/organizations/{organization_id}": {"name": "Mine now"},
    "PATCH /api/projects/{project_id}": {"name": "Mine now"},
    "PATCH /api/projects/{project_id}/api-keys/{key_id}": {"name": "Mine now"},
    "PUT /api/organizations/{organization_id}/transfer-ownership": {"new_owner_id": "user_x"},
    "PUT /api/organizations/{organization_id}/members/{user_id}": {"role": "admin"},
    "POST /api/organizations/{organization_id}/invitations": {"email": "n@example.com", "role": "member"},
    "POST /api/projects/{project_id}/members": {"user_id": "user_x", "role": "viewer"},
    "PUT /api/projects/{project_id}/members/{user_id}": {"role": "editor"},
    "POST /api/projects/{project_id}/invitations": {"email": "n@example.com", "role": "viewer"},
    "POST /api/projects/{project_id}/api-keys": {"name": "mine"},
    "POST /api/projects/{project_id}/revert": {
        "source_id": "key_00000000000000000000000000000000",
        "since": "2026-01-01",
        "dry_run": True,
    },
}
IN_PROJECT = {
    "POST /api/memories": said("Tea."),
    "GET /api/memories": None,
    "DELETE /api/memories": None,
    "GET /api/memories/stats": None,
    "GET /api/memories/trash": None,
    "GET /api/memories/context": None,
    "POST /api/memories/batch": {"memories": [said("Tea.")]},
    "POST /api/memories/search": {"query": "tea"},
    "POST /v1/memories/temporal-search/": {"temporal_query": "today"},
    "POST /v1/memories/tag-search/": {"tags": "a"},
    "POST /v1/memories/people-search/": {"people": "a"},
    "GET /v1/stats": None,
}
# Anybody who has the token may call these; test_invitations tests what another account may do with one.
BY_TOKEN = {
    "GET /api/invitations/{token}", "POST /api/invitations/{token}/accept", "POST /api/invitations/{token}/decline",
}  # fmt: skip
WITH_ID = [
    f"{endpoint.method} {endpoint.path}"
    for endpoint in ENDPOINTS
    if "{" in endpoint.path and f"{endpoint.method} {endpoint.path}" not in BY_TOKEN
]
ID_PREFIXES = {
    "memory_id": "mem_", "organization_id": "org_", "project_id": "proj_", "user_id": "user_", "key_id": "key_",
    "invitation_id": "inv_", "notification_id": "ntf_", "connection_id": "con_",
}  # fmt: skip


@pytest.fixture
async def theirs(team: Team) -> dict[str, str]:
    """The id of one thing of each kind that belongs to the team."""
    memory = await team["write_key"].add("The team's own.")
    keys = (await team["owner"].get(f"/api/projects/{team.project_id}/api-keys")).json()["api_keys"]
    body = {"email": "waiting@example.com", "role": "member"}
    invited = await team["owner"].post(f"/api/organizations/{team.organization_id}/invitations", body)
    await team["owner"].put(f"/api/projects/{team.project_id}/members/{team.ids['target']}", {"role": "editor"})
    connections = (await team["project_admin"].get("/api/connections")).json()["connections"]
    notifications = (await team["target"].get("/api/notifications")).json()["notifications"]
    return {
        "memory_id": memory,
        "organization_id": team.organization_id,
        "project_id": team.project_id,
        "user_id": team.ids["target"],
        "key_id": keys[0]["id"],
        "invitation_id": invited.json()["invitation_id"],
        "notification_id": notifications[0]["id"],
        "connection_id": connections[0]["id"],
    }


@pytest.fixture(params=["outsider", "outsider_key", "outsider_token"])
def outsider(request: pytest.FixtureRequest, team: Team) -> Caller:
    """A stranger with each credential."""
    return team[request.param]


async def test_r01_every_route_with_an_id_answers_a_stranger_as_for_what_never_was(
    outsider: Caller, theirs: dict[str, str], team: Team
) -> None:
    before = await everything(team)
    unknown = {name: prefix + "0" * 32 for name, prefix in ID_PREFIXES.items()}
    for route in WITH_ID:
        method, path = route.split()
        answers = [
            await outsider.send(method, path.format(**ids), body_of(route))
            for ids in (theirs, unknown, nested(theirs, unknown))
        ]
        seen = {(answer.status_code, answer.text) for answer in answers}
        assert len(seen) == 1, (route, seen)
        assert answers[0].status_code in (403, 404), (route, answers[0].text)
    assert await everything(team) == before


async def test_r02_another_project_in_the_query_or_the_body_is_as_one_that_never_was(
    outsider: Caller, team: Team
) -> None:
    for route, body in IN_PROJECT.items():
        method, path = route.split()
        seen = set()
        for project_id in (team.project_id, "proj_" + "0" * 32):
            answer = await outsider.send(method, f"{path}?project_id={project_id}", body)
            seen.add((answer.status_code, answer.text))
            if isinstance(body, dict):
                answer = await outsider.send(method, path, {**body, "project_id": project_id})
                seen.add((answer.status_code, answer.text))
        assert seen == {(404, '{"detail":"Project not found."}')}, route


def test_every_route_that_takes_a_project_is_tried() -> None:
    taking = {
        f"{endpoint.method} {endpoint.path}"
        for endpoint in ENDPOINTS
        if "project_id" in (endpoint.query.model_fields if endpoint.query else {})
    }
    assert {route for route in taking if "{memory_id}" not in route} == set(IN_PROJECT)


async def test_r17_method_override_headers_are_ignored(team: Team) -> None:
    path = f"/api/projects/{team.project_id}"
    headers = {"X-HTTP-Method-Override": "DELETE", "X_Method_Override": "DELETE"}
    assert (await team["owner"].send("GET", path, **headers)).status_code == 200
    assert (await team["owner"].send("POST", path, {"_method": "DELETE"}, **headers)).status_code == 405
    assert (await team["owner"].get(path)).status_code == 200


async def test_r18_routes_for_people_refuse_keys_before_reading_the_body(team: Team, theirs: dict[str, str]) -> None:
    before = await everything(team)
    for endpoint in ENDPOINTS:
        if endpoint.reach is Reach.SESSION:
            path = endpoint.path.format(**theirs, token="t")
            for caller in ("write_key", "write_token"):
                answer = await team[caller].send(endpoint.method, path)
                assert answer.status_code == 403, (endpoint.method, path, answer.text)
    assert await everything(team) == before


async def test_r29_only_the_listed_routes_are_open_without_a_credential(client: httpx.AsyncClient) -> None:
    unknown = {name: prefix + "0" * 32 for name, prefix in ID_PREFIXES.items()} | {"token": "t"}
    for endpoint in ENDPOINTS:
        answer = await client.request(endpoint.method, endpoint.path.format(**unknown))
        is_open = endpoint.path in OPEN or endpoint.path.startswith("/health")
        assert (answer.status_code != 401) is is_open, (endpoint.path, answer.text)


OPEN = ("/v1/health", "/api/invitations/{token}", "/openapi.json", "/docs", "/docs.css", "/metrics")


def body_of(route: str) -> object:
    method, _ = route.split()
    return BODIES[route] if method in ("POST", "PUT", "PATCH") and route in BODIES else None


def nested(theirs: dict[str, str], unknown: dict[str, str]) -> dict[str, str]:
    """Return the team's organization and project with unknown ids of things in them."""
    containers = ("organization_id", "project_id")
    return unknown | {name: theirs[name] for name in containers}


async def everything(team: Team) -> list[Any]:
    """Return what the owner sees of the team."""
    organization, project = f"/api/organizations/{team.organization_id}", f"/api/projects/{team.project_id}"
    paths = (organization, f"{organization}/members", f"{organization}/audit", project, f"{project}/members")
    memories = f"/api/memories?project_id={team.project_id}"
    return [(await team["owner"].get(path)).json() for path in (*paths, memories)]
