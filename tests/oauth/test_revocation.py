"""Requirements 87-92: revocation (RFC 7009), introspection (RFC 7662), and the list of connected applications."""

from datetime import timedelta

import httpx
from sqlmodel import select

from server.models import AccessToken
from server.models.base import now
from server.storage.database import Database
from tests.oauth.conftest import Register
from tests.support.flows import EVERYDAY, ORIGIN, RESOURCE, App, Person, basic, bearer, error_of, tokens_of
from tests.support.tables import rows

INACTIVE = {"active": False}


@rows("hint", [None, "access_token", "refresh_token", "id_token", "x"])
async def test_087_revoking_an_unknown_token_succeeds(notes: App, ann: Person, hint: str | None) -> None:
    for token in ("sm_at_unknown", "sm_rt_unknown", "x" * 1000):
        response = await notes.post("/oauth/revoke", {"token": token, "token_type_hint": hint})
        assert response.status_code == 200
    tokens = await notes.connect(ann)
    assert (await notes.post("/oauth/revoke", {"token": tokens.access, "token_type_hint": hint})).status_code == 200
    assert not await notes.works(tokens.access)
    assert (await notes.post("/oauth/revoke", {"token": tokens.refresh, "token_type_hint": hint})).status_code == 200
    assert error_of(await notes.refresh(tokens.refresh)) == "invalid_grant"


async def test_088_a_refresh_token_revokes_its_access_tokens(notes: App, ann: Person) -> None:
    first, other = await notes.connect(ann), await notes.connect(ann)
    second = tokens_of(await notes.refresh(first.refresh))
    assert (await notes.post("/oauth/revoke", {"token": second.refresh})).status_code == 200
    assert not await notes.works(first.access)
    assert not await notes.works(second.access)
    assert await notes.works(other.access)


async def test_088_an_access_token_revokes_only_itself(notes: App, ann: Person) -> None:
    tokens = await notes.connect(ann)
    assert (await notes.post("/oauth/revoke", {"token": tokens.access})).status_code == 200
    assert not await notes.works(tokens.access)
    assert await notes.works(tokens_of(await notes.refresh(tokens.refresh)).access)


async def test_089_another_clients_token_is_not_revoked(
    notes: App, backend: App, register: Register, ann: Person
) -> None:
    tokens = await notes.connect(ann)
    for other in (await register(), backend):
        for token in (tokens.access, tokens.refresh):
            assert (await other.post("/oauth/revoke", {"token": token})).status_code == 200
    assert await notes.works(tokens.access)
    assert (await notes.refresh(tokens.refresh)).status_code == 200


async def test_089_only_the_client_itself_revokes(backend: App, ann: Person, client: httpx.AsyncClient) -> None:
    tokens = await backend.connect(ann)
    given = {"token": tokens.access}
    attempts: list[tuple[dict[str, str], dict[str, str]]] = [
        (given, {}), (given | {"client_id": backend.client_id}, {}), (given, basic(backend.client_id, "wrong")),
        (given | {"client_id": "client_x"}, {}),
    ]  # fmt: skip
    for data, headers in attempts:
        assert error_of(await client.post("/oauth/revoke", data=data, headers=headers), 401) == "invalid_client"
    assert error_of(await backend.post("/oauth/revoke", {})) == "invalid_request"
    assert await backend.works(tokens.access)


async def test_090_introspection_is_for_clients_and_their_own_tokens(
    notes: App, backend: App, ann: Person, client: httpx.AsyncClient, database: Database
) -> None:
    tokens, others = await backend.connect(ann), await notes.connect(ann)
    assert error_of(await client.post("/oauth/introspect", data={"token": tokens.access}), 401) == "invalid_client"
    for token in (others.access, others.refresh, tokens.refresh, "x", "sm_at_" + "x" * 32):
        assert (await backend.post("/oauth/introspect", {"token": token})).json() == INACTIVE
    assert (await notes.post("/oauth/introspect", {"token": tokens.access})).json() == INACTIVE
    assert (await backend.post("/oauth/introspect", {"token": tokens.access})).json()["active"] is True
    with database.write() as session:
        for row in session.exec(select(AccessToken)):
            row.expires_at = now() - timedelta(seconds=1)
    assert (await backend.post("/oauth/introspect", {"token": tokens.access})).json() == INACTIVE


async def test_091_introspection_describes_an_active_token(backend: App, ann: Person) -> None:
    tokens = await backend.connect(ann)
    body = (await backend.post("/oauth/introspect", {"token": tokens.access})).json()
    assert body["exp"] - body.pop("iat") == 3600
    assert body.pop("exp") > now().timestamp()
    assert body == {
        "active": True, "scope": EVERYDAY, "client_id": backend.client_id, "sub": ann.user_id, "aud": RESOURCE,
        "iss": ORIGIN, "token_type": "Bearer",
    }  # fmt: skip
    await backend.post("/oauth/revoke", {"token": tokens.refresh})
    assert (await backend.post("/oauth/introspect", {"token": tokens.access})).json() == INACTIVE


async def test_092_people_list_and_end_their_connections(notes: App, backend: App, ann: Person, ben: Person) -> None:
    tokens, kept = await notes.connect(ann, scope="memories:read"), await backend.connect(ann)
    await notes.works(tokens.access)
    listed = (await ann.browser.get("/api/connections")).json()["connections"]
    assert [one["client_id"] for one in listed] == [backend.client_id, notes.client_id]
    unused, one = listed
    assert unused["last_used_at"] is None
    assert one["last_used_at"] >= one["created_at"]
    assert (one["client_name"], one["project_id"], one["scopes"]) == ("Notes", ann.project_id, ["memories:read"])
    await ben.sign_in()
    assert (await ben.browser.get("/api/connections")).json() == {"connections": []}
    path = f"/api/connections/{one['id']}"
    foreign, unknown = await ben.browser.delete(path), await ben.browser.delete("/api/connections/con_x")
    assert (foreign.status_code, foreign.json()) == (unknown.status_code, unknown.json()) == (404, foreign.json())
    assert await notes.works(tokens.access)
    assert (await ann.browser.delete(path)).status_code == 200
    assert not await notes.works(tokens.access)
    assert error_of(await notes.refresh(tokens.refresh)) == "invalid_grant"
    assert await backend.works(kept.access)
    assert len((await ann.browser.get("/api/connections")).json()["connections"]) == 1


async def test_092_only_people_may_list_connections(notes: App, ann: Person) -> None:
    token = (await notes.connect(ann)).access
    for method, path in (("GET", "/api/connections"), ("DELETE", "/api/connections/con_x")):
        assert (await notes.http.request(method, path)).status_code == 401
        assert (await notes.http.request(method, path, headers=bearer(token))).status_code == 403


async def test_092_deleting_a_project_deletes_its_connections(notes: App, ann: Person) -> None:
    tokens = await notes.connect(ann)
    deleted = await ann.browser.delete(f"/api/projects/{ann.project_id}")
    assert deleted.json()["cascades"]["grants"] == 1
    assert not await notes.works(tokens.access)
