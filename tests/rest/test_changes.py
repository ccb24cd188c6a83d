"""PUT replaces, PATCH merges, an earlier version can be restored, and names can be changed."""

import json
from collections.abc import Callable

import httpx
import pytest

from tests.conftest import Tenant
from tests.rest.conftest import Caller
from tests.support.browsers import sign_up
from tests.support.tables import rows

pytestmark = pytest.mark.sqlite_only


async def test_content_is_the_text_of_a_replacement(api: Caller) -> None:
    path = f"/api/memories/{await api.add('first', metadata={'n': 1})}"
    changed = (await api.put(path, {"content": "second"})).json()
    assert (changed["content"], changed["metadata"]) == ("second", {"n": 1})
    assert (await api.put(path, {"content": "a", "text": "a"})).json()["content"] == "a"
    assert (await api.put(path, {"content": "a", "text": "b"})).status_code == 400
    assert (await api.put(path, {"content": None, "metadata": {"n": 2}})).json()["content"] == "a"


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_an_unknown_field_of_a_change_is_refused(api: Caller, method: str) -> None:
    path = f"/api/memories/{await api.add('first')}"
    refused = await api.send(method, path, {"content": "second", "categry": "x"})
    assert refused.status_code == 400
    assert refused.json()["detail"].startswith("categry: is not a field")
    assert await api.listed() == ["first"]


@rows("name", ["content", "text"])
async def test_a_replacement_is_refused_under_the_name_that_was_written(api: Caller, name: str) -> None:
    path = f"/api/memories/{await api.add('first')}"
    for value, reason in ((" ", "must not be blank."), (7, "must be text."), ("x" * 10_001, "has 10,001 characters")):
        refused = await api.put(path, {name: value})
        assert refused.status_code == 400
        assert refused.json()["detail"].startswith(f"{name}: {reason}")
    assert (
        (await api.put(path, {"text": None, "content": None}))
        .json()["detail"]
        .startswith("content, metadata, pinned or expires_at: ")
    )
    refused = await api.put(path, {name: "second", "texts": "x"})
    assert refused.json()["detail"] == (
        "texts: is not a field; did you mean text? Known fields: content, text, metadata, pinned, expires_at, "
        "project_id, organization_id."
    )


PATCHES: list[tuple[dict[str, object], dict[str, object]]] = [
    ({"tags": ["c"]}, {"tags": ["c"], "n": 1, "deep": {"a": 1, "b": 2}}),
    ({"tags": None}, {"n": 1, "deep": {"a": 1, "b": 2}}),
    ({"tags": []}, {"n": 1, "deep": {"a": 1, "b": 2}}),
    ({"topic_category": "x"}, {"tags": "a,b", "n": 1, "deep": {"a": 1, "b": 2}, "topic_category": "x"}),
    ({"metadata": {"n": None, "deep": {"b": None, "c": 3}}}, {"tags": "a,b", "deep": {"a": 1, "c": 3}}),
    ({"metadata": None}, {}),
    ({"metadata": None, "people_mentioned": "Li"}, {"people_mentioned": "Li"}),
    ({}, {"tags": "a,b", "n": 1, "deep": {"a": 1, "b": 2}}),
]


@rows(("patch", "metadata"), PATCHES)
async def test_a_patch_merges(api: Caller, patch: dict[str, object], metadata: dict[str, object]) -> None:
    """RFC 7396."""
    before = {"tags": "a,b", "n": 1, "deep": {"a": 1, "b": 2}}
    path = f"/api/memories/{await api.add('text', metadata=before)}"
    changed = await api.send("PATCH", path, patch)
    assert changed.status_code == 200, changed.text
    assert (changed.json()["content"], changed.json()["metadata"]) == ("text", metadata)
    assert changed.json() == (await api.get(path)).json()


async def test_a_patch_of_the_text_is_found(api: Caller) -> None:
    path = f"/api/memories/{await api.add('a red kayak', metadata={'tags': 'boat'})}"
    await api.send("PATCH", path, {"content": "a blue canoe"})
    assert await api.found("canoe", tags="boat") == ["a blue canoe"]
    assert (await api.send("PATCH", path, {"content": None})).status_code == 400
    twice = await api.send("PATCH", path, {"topic_category": "x", "metadata": {"topic_category": "y"}})
    assert (twice.status_code, "different values" in twice.json()["detail"]) == (400, True)


async def test_an_earlier_version_comes_back_as_a_new_one(api: Caller) -> None:
    path = f"/api/memories/{await api.add('first', metadata={'tags': 'a'})}"
    await api.put(path, {"text": "second", "metadata": {"tags": "b"}})
    restored = await api.post(f"{path}/restore", {"version": 1})
    assert (restored.json()["content"], restored.json()["metadata"]) == ("first", {"tags": "a"})
    versions = (await api.get(f"{path}/history")).json()["results"]
    assert [(one["version"], one["content"]) for one in versions] == [(3, "first"), (2, "second"), (1, "first")]
    assert await api.found(tags="a") == ["first"]
    assert (await api.post(f"{path}/restore", {"version": 9})).status_code == 404
    assert (await api.post(f"{path}/restore", {})).status_code == 400


async def test_several_messages_come_back_as_one_text(api: Caller) -> None:
    messages = [{"role": "user", "content": "x" * 9_000}, {"role": "assistant", "content": "y" * 9_000}]
    memory_id = (await api.post("/api/memories", {"messages": messages})).json()["memory_id"]
    before = (await api.get(f"/api/memories/{memory_id}")).json()["content"]
    await api.put(f"/api/memories/{memory_id}", {"text": "short"})
    restored = await api.post(f"/api/memories/{memory_id}/restore", {"version": 1})
    assert restored.json()["content"] == before


async def test_names_can_be_changed(client: httpx.AsyncClient) -> None:
    await sign_up(client)
    lab = (await client.post("/api/organizations", json={"name": "Lab"})).json()["id"]
    await client.post("/api/organizations", json={"name": "Other"})
    renamed = await client.patch(f"/api/organizations/{lab}", json={"name": "  Laboratory "})
    assert (renamed.status_code, renamed.json()["name"]) == (200, "Laboratory")
    assert (await client.patch(f"/api/organizations/{lab}", json={"name": "other"})).status_code == 409
    assert (await client.patch(f"/api/organizations/{lab}", json={"name": "!"})).status_code == 400
    assert (await client.patch(f"/api/organizations/{lab}", json={"name": "Fine", "plan": 1})).status_code == 400

    project = (await client.post("/api/projects", json={"name": "Notes", "organization_id": lab})).json()["id"]
    await client.post("/api/projects", json={"name": "Taken", "organization_id": lab})
    renamed = await client.patch(f"/api/projects/{project}", json={"name": "Logbook"})
    assert (renamed.status_code, renamed.json()["name"]) == (200, "Logbook")
    assert (await client.patch(f"/api/projects/{project}", json={"name": "TAKEN"})).status_code == 409

    keys = f"/api/projects/{project}/api-keys"
    key = (await client.post(keys, json={"name": "old"})).json()
    renamed = await client.patch(f"{keys}/{key['id']}", json={"name": "new"})
    assert (renamed.status_code, renamed.json()["name"]) == (200, "new")
    assert (await client.patch(f"{keys}/{key['id']}", json={"name": " "})).status_code == 400
    assert "api_key" not in renamed.json()

    assert (await client.patch("/api/users/me", json={"name": "Zoë"})).json()["name"] == "Zoë"
    assert (await client.get("/api/users/me")).json()["name"] == "Zoë"
    events = (await client.get(f"/api/organizations/{lab}/audit")).json()["events"]
    assert {"organization.renamed", "project.renamed", "api_key.renamed"} <= {event["type"] for event in events}


@rows("form", ["Bearer {key}", "bearer Bearer {key}", "Bearer {key}, Bearer {key}", "{key}", "X-API-Key"])
async def test_a_key_may_be_sent_in_several_ways(client: httpx.AsyncClient, alice: Tenant, form: str) -> None:
    header = {form: alice.key} if form == "X-API-Key" else {"Authorization": form.format(key=alice.key)}
    assert (await client.get("/api/memories", headers=header)).status_code == 200
    both = {"Authorization": f"Bearer {alice.key}", "X-API-Key": alice.key}
    assert (await client.get("/api/memories", headers=both)).status_code == 200


async def test_two_different_keys_are_refused(client: httpx.AsyncClient, alice: Tenant, bob: Tenant) -> None:
    twice = {"Authorization": f"Bearer {alice.key}, Bearer {bob.key}"}
    for both in ({"Authorization": f"Bearer {alice.key}", "X-API-Key": bob.key}, twice):
        refused = await client.get("/api/memories", headers=both)
        assert refused.status_code == 401
        assert "X-API-Key: KEY" in refused.json()["detail"]


@rows("blank", ["", " ", "\t", "Bearer "])
async def test_a_blank_header_is_left_out(
    client: httpx.AsyncClient, alice: Tenant, signed_in: Callable[[Tenant], Caller], blank: str
) -> None:
    session = signed_in(alice).headers["Authorization"].removeprefix("Session ")
    for others in (
        {"X-API-Key": alice.key},
        {"Authorization": f"Bearer {alice.key}", "X-API-Key": blank},
        {"Cookie": f"ory_kratos_session={session}"},
        {"Cookie": f"ory_kratos_session={session}", "X-API-Key": blank},
    ):
        headers = {"Authorization": blank, **others}
        path = f"/api/memories?project_id={alice.project_id}"
        assert (await client.get(path, headers=headers)).status_code == 200, others
        mcp = await client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers=headers)
        assert mcp.status_code == (401 if "Cookie" in others else 200), others
    nothing = await client.get("/api/memories", headers={"Authorization": blank, "X-API-Key": blank})
    assert (nothing.status_code, "error=" in nothing.headers["WWW-Authenticate"]) == (401, False)


@rows("header", ["Bearer Bearer", "Bearer x", "Basic YTpi", "nonsense", "null"])
async def test_a_wrong_header_counts_more_than_the_cookie(
    client: httpx.AsyncClient, alice: Tenant, signed_in: Callable[[Tenant], Caller], header: str
) -> None:
    session = signed_in(alice).headers["Authorization"].removeprefix("Session ")
    for others in ({"X-API-Key": alice.key}, {"Cookie": f"ory_kratos_session={session}"}):
        refused = await client.get("/api/users/me", headers={"Authorization": header, **others})
        assert (refused.status_code, "invalid_token" in refused.headers["WWW-Authenticate"]) == (401, True)


async def test_a_key_in_the_address_is_no_credential(client: httpx.AsyncClient, alice: Tenant) -> None:
    assert (await client.get(f"/api/memories?api_key={alice.key}")).status_code == 401


async def test_a_number_that_becomes_true_is_stored(api: Caller) -> None:
    path = f"/api/memories/{await api.add('first', metadata={'flag': 1, 'flags': [0]})}"
    changed = (await api.send("PATCH", path, {"metadata": {"flag": True, "flags": [False]}})).json()["metadata"]
    stored = (await api.get(path)).json()["metadata"]
    assert json.dumps(stored) == json.dumps(changed) == '{"flag": true, "flags": [false]}'
    assert [one["metadata"]["flag"] is True for one in (await api.get(f"{path}/history")).json()["results"]] == [
        True, False,
    ]  # fmt: skip
    await api.post(f"{path}/restore", {"version": 1})
    assert (await api.get(path)).text.count('"flag":1') == 1
