"""A request may name the project or organization that its credential has anyway, and no other."""

import pytest

from tests.conftest import Tenant
from tests.rest.conftest import Caller, said

pytestmark = pytest.mark.sqlite_only


async def test_organization_of_the_project_may_be_named_and_must_agree(api: Caller, alice: Tenant) -> None:
    ours, theirs = alice.organization_id, "org_" + "0" * 32
    for organization_id, status in ((ours, 200), (theirs, 404)):
        body = {"content": "x", "organization_id": organization_id}
        assert (await api.post("/api/memories", body)).status_code == status
        assert (await api.get(f"/api/memories?organization_id={organization_id}")).status_code == status
        search = {"query": "x", "filters": {"organization_id": organization_id}}
        assert (await api.post("/api/memories/search", search)).status_code == status
        assert (await api.delete(f"/api/memories?organization_id={organization_id}")).status_code == status


async def test_another_project_in_the_query_of_a_memory_is_refused(api: Caller, alice: Tenant, bob: Tenant) -> None:
    path = f"/api/memories/{await api.add('x')}"
    assert (await api.get(f"{path}?project_id={alice.project_id}")).status_code == 200
    assert (await api.get(f"{path}?project_id={bob.project_id}")).status_code == 404
    assert (await api.delete(f"{path}?project_id={bob.project_id}")).status_code == 404
    assert await api.listed() == ["x"]


async def test_the_body_of_a_change_may_name_the_project(api: Caller, alice: Tenant, bob: Tenant) -> None:
    path = f"/api/memories/{await api.add('first')}"
    requests: tuple[tuple[str, str, dict[str, object]], ...] = (
        ("PUT", path, {"text": "second"}),
        ("PATCH", path, {"content": "third"}),
        ("POST", f"{path}/restore", {"version": 1}),
    )
    for method, route, body in requests:
        other = await api.send(method, route, {**body, "project_id": bob.project_id})
        assert (other.status_code, other.json()) == (404, {"detail": "Memory not found."})
        two = await api.send(method, f"{route}?project_id={alice.project_id}", {**body, "project_id": bob.project_id})
        assert two.json() == {"detail": "project_id: is given more than once, with different values."}
        assert (await api.send(method, route, {**body, "project_id": alice.project_id})).status_code == 200
    assert await api.listed() == ["first"]
    alone = await api.put(path, {"project_id": alice.project_id})
    assert alone.json() == {"detail": "content, metadata, pinned or expires_at: give at least one of them."}


async def test_an_empty_organization_is_refused_like_any_empty_id(api: Caller) -> None:
    refused = [
        await api.get("/api/memories?organization_id="),
        await api.post("/api/memories/search", {"query": "x", "organization_id": ""}),
        await api.post("/api/memories", said("x", organization_id="")),
    ]
    for answer in refused:
        assert (answer.status_code, answer.json()["detail"]) == (
            400,
            "organization_id: must have 1 or more characters.",
        )
