"""Every route refuses unknown query parameters and unknown fields of a body."""

from collections.abc import Callable

import httpx
import pytest
from pydantic import BaseModel

from rest.endpoint import Endpoint, Reach
from rest.routes import ENDPOINTS
from server.models import OrganizationMember, OrganizationRole
from server.storage.database import Database
from server.text.spelling import names_of
from tests.conftest import Tenant
from tests.rest.conftest import Caller

pytestmark = pytest.mark.sqlite_only

PREFIXES = {"user_id": "user", "key_id": "key", "invitation_id": "inv", "token": "inv"}
PREFIXES |= {"notification_id": "ntf", "connection_id": "con"}
CREATIONS: dict[str, dict[str, object]] = {
    "memories_create": {"content": "x"},
    "memories_create_batch": {"memories": [{"content": "x"}]},
    "organizations_create": {"name": "Lab"},
    "invitations_create": {"email": "carol@example.com", "role": "member"},
    "projects_create": {"name": "Notes", "organization_id": "LAB"},
    "members_add_to_project": {"user_id": "BOB", "role": "viewer"},
    "invitations_create_for_project": {"email": "carol@example.com", "role": "viewer"},
    "api_keys_create": {"name": "k"},
}
GUARDED = [endpoint for endpoint in ENDPOINTS if endpoint.reach is not Reach.ANYBODY]


CHANGES = [endpoint for endpoint in GUARDED if endpoint.method != "GET" and endpoint.name not in CREATIONS]
ANSWERS = {"invitations_accept", "invitations_decline"}
"""They neither change nor delete by what a body says, and ignore one."""


def test_every_creation_is_in_the_table_above() -> None:
    creating = {endpoint.name for endpoint in ENDPOINTS if endpoint.body and takes_any_field(endpoint.body)}
    assert creating == set(CREATIONS)


def takes_any_field(body: type[BaseModel]) -> bool:
    return body.model_config.get("extra") == "allow"


@pytest.fixture
async def path_of(api: Caller, alice: Tenant) -> Callable[[Endpoint], str]:
    """Return a function for the path of an endpoint, where its project is named and its memory is there."""
    names = {name: f"{prefix}_{'0' * 32}" for name, prefix in PREFIXES.items()}
    names |= {"organization_id": alice.organization_id, "project_id": alice.project_id, "memory_id": await api.add("x")}

    def path(endpoint: Endpoint) -> str:
        needs_project = endpoint.query and "project_id" in endpoint.query.model_fields
        return endpoint.path.format(**names) + (f"?project_id={alice.project_id}" if needs_project else "?")

    return path


async def test_an_unknown_parameter_is_refused_everywhere(
    signed_in: Callable[[Tenant], Caller], alice: Tenant, path_of: Callable[[Endpoint], str]
) -> None:
    caller = signed_in(alice)
    for endpoint in GUARDED:
        refused = await caller.send(endpoint.method, f"{path_of(endpoint)}&nonsense=1", {})
        known = names_of(endpoint.query) if endpoint.query else []
        has = f"Known parameters: {', '.join(known)}." if known else "This route takes no parameters."
        assert (refused.status_code, refused.json()["detail"]) == (400, f"nonsense: is not a parameter. {has}")


async def test_an_unknown_field_of_a_change_or_deletion_is_refused_everywhere(
    signed_in: Callable[[Tenant], Caller], alice: Tenant, path_of: Callable[[Endpoint], str]
) -> None:
    caller = signed_in(alice)
    for endpoint in CHANGES:
        if endpoint.name in ANSWERS:
            continue
        refused = await caller.send(endpoint.method, path_of(endpoint), {"nonsense": 1})
        assert refused.status_code == 400, endpoint.name
        assert refused.json()["detail"].startswith("nonsense: is not a field."), endpoint.name
        body = endpoint.body or (endpoint.query if endpoint.reads_body else None)
        for name in names_of(body) if body else ["This request takes no fields."]:
            assert name in refused.json()["detail"], endpoint.name
    assert (await caller.get(f"/api/memories?project_id={alice.project_id}")).json()["total"] == 1


async def test_an_unknown_field_of_a_creation_is_named_in_a_warning_everywhere(
    signed_in: Callable[[Tenant], Caller],
    alice: Tenant,
    bob: Tenant,
    path_of: Callable[[Endpoint], str],
    database: Database,
) -> None:
    with database.write() as session:
        member = OrganizationMember(
            organization_id=alice.organization_id, user_id=bob.user_id, role=OrganizationRole.MEMBER
        )
        session.add(member)
    caller = signed_in(alice)
    lab = (await caller.post("/api/organizations", {"name": "First"})).json()["id"]
    for name, body in CREATIONS.items():
        endpoint = next(one for one in ENDPOINTS if one.name == name)
        given = {key: {"LAB": lab, "BOB": bob.user_id}.get(str(value), value) for key, value in body.items()}
        created = await caller.send(endpoint.method, path_of(endpoint), {**given, "nonsense": 1})
        assert (created.status_code, created.json().get("warnings")) == (200, ["nonsense: is not a field."]), name


async def test_a_missing_field_says_what_was_written_for_it(api: Caller) -> None:
    for path, body, sentence in (
        ("/api/memories/search", {"q": "tea"}, "q: is not a field; did you mean query? Known fields: "),
        ("/api/memories/search", {"query": "a", "source_id": "b"}, "source_id: is not a field; did you mean source?"),
        ("/api/memories/search", {"query": "a", "org_id": "b"}, "org_id: is not a field; did you mean organization_id"),
        ("/api/memories/search", {"filters": {"top_k": 1}}, "filters.top_k: is not a field; did you mean limit?"),
        ("/api/memories", {"text": "x"}, "content or messages: give exactly one of them; text is not a field."),
        ("/api/memories/batch", {"memory": []}, "memories: is required; memory is not a field."),
        ("/api/memories", {"messages": [{"role": "user", "text": "x"}]}, "messages.0.content: is required; text is"),
    ):
        refused = await api.post(path, body)
        assert (refused.status_code, refused.json()["detail"][: len(sentence)]) == (400, sentence)


async def test_a_caller_who_may_not_use_a_route_is_refused_first(
    client: httpx.AsyncClient, api: Caller, path_of: Callable[[Endpoint], str]
) -> None:
    nobody = Caller(client, {})
    for endpoint in GUARDED:
        path = f"{path_of(endpoint)}&nonsense=1"
        refused = await nobody.send(endpoint.method, path, {"nonsense": 1})
        assert refused.status_code == 401, endpoint.name


async def test_an_unknown_field_of_a_message_is_named_and_not_stored(api: Caller) -> None:
    messages = [{"role": "user", "content": "a", "name": "Ann"}, {"role": "assistant", "content": "b", "tool": {}}]
    created = (await api.post("/api/memories", {"messages": messages})).json()
    assert created["warnings"] == [
        "messages.0.name: is not a field.", "messages.1.tool: is not a field.",
    ]  # fmt: skip
    stored = (await api.get(f"/api/memories/{created['memory_id']}")).json()["messages"]
    assert stored == [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    batch = (await api.post("/api/memories/batch", {"memories": [{"messages": messages}] * 80, "x": 1})).json()
    assert batch["warnings"][:2] == ["x: is not a field.", "memories.0.messages.0.name: is not a field."]
    assert len(batch["warnings"]) == 100
