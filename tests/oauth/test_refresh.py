"""Requirements 79-86: refresh tokens rotate, tolerate retries, and detect copies."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import httpx
import pytest
import sqlalchemy as sa
from sqlmodel import Session, col, select

from server.domain.grants import tokens as tokens_module
from server.domain.teams import cascades
from server.models import AccessToken, OAuthClient, OAuthGrant, ProjectMember, ProjectRole, RefreshToken
from server.models.base import now
from server.storage.database import Database
from tests.oauth.conftest import Register
from tests.oauth.test_pages import share
from tests.support.flows import EVERYDAY, RESOURCE, App, Person, bearer, error_of, tokens_of


def age(database: Database, seconds: int) -> None:
    """Make every exchange look this many seconds older."""
    with database.write() as session:
        for row in session.exec(select(RefreshToken)):
            row.rotated_at = row.rotated_at and row.rotated_at - timedelta(seconds=seconds)


async def test_079_the_resource_is_the_one_of_the_grant(notes: App, ann: Person) -> None:
    tokens = await notes.connect(ann)
    assert error_of(await notes.refresh(tokens.refresh, resource="https://other.example")) == "invalid_target"
    for resource in (None, RESOURCE, f"{RESOURCE}/"):
        tokens = tokens_of(await notes.refresh(tokens.refresh, resource=resource))
        assert await notes.works(tokens.access)
        assert tokens.scope == EVERYDAY


async def test_080_each_refresh_replaces_the_refresh_token(notes: App, ann: Person, database: Database) -> None:
    first = await notes.connect(ann)
    second = tokens_of(await notes.refresh(first.refresh))
    assert second.refresh != first.refresh
    assert second.access != first.access
    age(database, 601)
    assert error_of(await notes.refresh(first.refresh)) == "invalid_grant"
    assert (await notes.refresh(second.refresh)).status_code == 200


async def test_081_an_old_one_that_comes_a_second_time_ends_its_family_alone(
    notes: App, ann: Person, database: Database
) -> None:
    """The first time may be an old copy of an honest client: it is refused, and ends nothing."""
    other = await notes.connect(ann)
    first = await notes.connect(ann)
    second = tokens_of(await notes.refresh(first.refresh))
    third = tokens_of(await notes.refresh(second.refresh))
    age(database, 601)
    assert error_of(await notes.refresh(first.refresh)) == "invalid_grant"
    assert error_of(await notes.refresh(second.refresh)) == "invalid_grant"
    assert all([await notes.works(tokens.access) for tokens in (first, second, third)])
    fourth = tokens_of(await notes.refresh(third.refresh))
    assert error_of(await notes.refresh(first.refresh)) == "invalid_grant"
    for tokens in (first, second, third, fourth):
        assert not await notes.works(tokens.access)
        assert error_of(await notes.refresh(tokens.refresh)) == "invalid_grant"
    assert await notes.works(other.access)
    assert (await notes.refresh(other.refresh)).status_code == 200


async def test_082_a_token_may_be_reused_within_the_grace_period(notes: App, ann: Person, database: Database) -> None:
    """Even after its successor was used: several processes may each continue with their own token."""
    first = await notes.connect(ann)
    second = tokens_of(await notes.refresh(first.refresh))
    third = tokens_of(await notes.refresh(second.refresh))
    age(database, 599)
    again = tokens_of(await notes.refresh(first.refresh))
    for tokens in (third, again):
        assert await notes.works(tokens.access)
        assert (await notes.refresh(tokens.refresh)).status_code == 200


async def test_082_a_token_has_at_most_three_successors(notes: App, ann: Person, database: Database) -> None:
    """The fourth use is refused and ends nothing, however often it is repeated."""
    first = await notes.connect(ann)
    successors = [tokens_of(await notes.refresh(first.refresh)) for _ in range(3)]
    for _ in range(5):
        assert error_of(await notes.refresh(first.refresh)) == "invalid_grant"
    for tokens in (first, *successors):
        assert await notes.works(tokens.access)
    assert all([(await notes.refresh(tokens.refresh)).status_code == 200 for tokens in successors])


async def test_082_a_copy_evicts_nobody(notes: App, ann: Person) -> None:
    """The owner's token works, whatever the copy's holder does with the successors of its own."""
    first = await notes.connect(ann)
    copied = tokens_of(await notes.refresh(first.refresh))
    own = tokens_of(await notes.refresh(first.refresh))
    for _ in range(70):
        copied = tokens_of(await notes.refresh(copied.refresh))
    for _ in range(70):
        await notes.refresh(first.refresh)
    assert await notes.works(own.access)
    assert (await notes.refresh(own.refresh)).status_code == 200


async def test_082_a_family_stays_within_bounds(
    notes: App, ann: Person, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens_module, "MAX_ACCESS_TOKENS", 20)
    newest = await notes.connect(ann)
    for _ in range(60):
        newest = tokens_of(await notes.refresh(newest.refresh))
    with database.read() as session:
        assert len(session.exec(select(RefreshToken)).all()) == tokens_module.ROTATED_KEPT + 1
        assert len(session.exec(select(AccessToken)).all()) == 20
    assert await notes.works(newest.access)
    assert (await notes.refresh(newest.refresh)).status_code == 200


async def test_082_a_family_with_many_live_tokens_gets_no_more_successors(
    notes: App, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them still has a first successor."""
    monkeypatch.setattr(tokens_module, "MAX_LIVE_TOKENS", 2)
    first = await notes.connect(ann)
    live = [tokens_of(await notes.refresh(first.refresh)) for _ in range(2)]
    assert error_of(await notes.refresh(first.refresh)) == "invalid_grant"
    assert all([(await notes.refresh(tokens.refresh)).status_code == 200 for tokens in live])


@pytest.mark.settings(refresh_grace_seconds=0)
async def test_082_without_a_grace_period_a_third_use_ends_the_family(notes: App, ann: Person) -> None:
    first = await notes.connect(ann)
    second = tokens_of(await notes.refresh(first.refresh))
    assert error_of(await notes.refresh(first.refresh)) == "invalid_grant"
    assert await notes.works(second.access)
    assert error_of(await notes.refresh(first.refresh)) == "invalid_grant"
    assert not await notes.works(second.access)


async def test_083_a_refresh_token_works_only_for_its_client(notes: App, register: Register, ann: Person) -> None:
    tokens = await notes.connect(ann)
    other = await register()
    assert error_of(await other.refresh(tokens.refresh)) == "invalid_grant"
    assert (await notes.refresh(tokens.refresh)).status_code == 200


async def test_084_a_client_may_request_fewer_scopes_but_not_more(notes: App, ann: Person) -> None:
    tokens = await notes.connect(ann)
    for scope in ("memories:read", "memories:read offline_access", "openid memories:read"):
        less = tokens_of(await notes.refresh(tokens.refresh, scope=scope))
        assert less.scope == "memories:read"
        assert (await by_rest(notes, less.access)).status_code == 403
    for asked in (None, "memories:write", "openid email profile"):
        assert tokens_of(await notes.refresh(less.refresh, scope=asked)).scope == EVERYDAY
    reader = await notes.connect(ann, scope="memories:read")
    for scope in (EVERYDAY, "memories:write", "admin"):
        refused = await notes.refresh(reader.refresh, scope=scope)
        assert error_of(refused) == "invalid_scope"
        assert "Leave the scope out, or authorize again" in refused.json()["error_description"]
    assert (await notes.refresh(reader.refresh)).status_code == 200


ENDINGS: dict[str, Callable[[Session, Person], object]] = {
    "expired": lambda session, _ben: session.execute(sa.update(RefreshToken).values(expires_at=now())),
    "client deleted": lambda session, _ben: session.execute(sa.delete(OAuthClient)),
    "role lost": lambda session, ben: session.execute(
        sa.delete(ProjectMember).where(col(ProjectMember.user_id) == ben.user_id)
    ),
    "grant deleted": lambda session, _ben: session.execute(sa.delete(OAuthGrant)),
    "password reset": lambda session, ben: cascades.revoke_access(session, ben.user_id),
}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_085_what_has_ended_is_refused(
    notes: App, ann: Person, ben: Person, database: Database, ending: str
) -> None:
    """Both tokens, on the next request."""
    share(database, ann, ben, ProjectRole.EDITOR)
    tokens = await notes.connect(ben, ann.project_id)
    assert await notes.works(tokens.access)
    with database.write() as session:
        ENDINGS[ending](session, ben)
    if ending == "client deleted":
        assert error_of(await notes.refresh(tokens.refresh), 401) == "invalid_client"
    else:
        assert error_of(await notes.refresh(tokens.refresh)) == "invalid_grant"
    assert await notes.works(tokens.access) is (ending == "expired")


LOSSES: dict[str, Callable[[Person, Person], Awaitable[httpx.Response]]] = {
    "removed": lambda ann, ben: ann.browser.delete(f"/api/projects/{ann.project_id}/members/{ben.user_id}"),
    "left": lambda ann, ben: ben.browser.delete(f"/api/projects/{ann.project_id}/members/{ben.user_id}"),
    "project deleted": lambda ann, _ben: ann.browser.delete(f"/api/projects/{ann.project_id}"),
    "account deleted": lambda _ann, ben: ben.browser.delete("/api/users/me"),
}


@pytest.mark.parametrize("loss", LOSSES)
async def test_085_101_lost_access_is_refused_on_the_next_request_at_every_door(
    notes: App, ann: Person, ben: Person, database: Database, loss: str
) -> None:
    """For issued tokens, and for a code that is not redeemed yet."""
    share(database, ann, ben, ProjectRole.EDITOR)
    code = await ben.allow(notes.request(), ann.project_id)
    tokens = await notes.connect(ben, ann.project_id)
    assert [(await call(notes, tokens.access)).status_code for call in DOORS] == [200, 200]
    await ann.sign_in()
    assert (await LOSSES[loss](ann, ben)).status_code == 200
    assert [(await call(notes, tokens.access)).status_code for call in DOORS] == [401, 401]
    assert error_of(await notes.refresh(tokens.refresh)) == "invalid_grant"
    assert error_of(await notes.redeem(code)) == "invalid_grant"


async def by_rest(app: App, token: str) -> httpx.Response:
    new = {"messages": [{"role": "user", "content": "hello"}]}
    return await app.http.post("/api/memories", json=new, headers=bearer(token))


async def by_mcp(app: App, token: str) -> httpx.Response:
    add = {"name": "add_memory", "arguments": {"content": "hello"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": add}
    revision = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
    return await app.http.post("/mcp", json=body, headers=bearer(token) | revision)


DOORS = (by_rest, by_mcp)


async def test_085_101_a_lowered_role_applies_to_the_next_request(
    notes: App, ann: Person, ben: Person, database: Database
) -> None:
    share(database, ann, ben, ProjectRole.EDITOR)
    code = await ben.allow(notes.request(), ann.project_id)
    tokens = await notes.connect(ben, ann.project_id)
    assert (await by_rest(notes, tokens.access)).status_code == 200
    await ann.sign_in()
    lowered = await ann.browser.put(f"/api/projects/{ann.project_id}/members/{ben.user_id}", json={"role": "viewer"})
    assert lowered.status_code == 200
    assert (await by_rest(notes, tokens.access)).status_code == 403
    assert (await by_mcp(notes, tokens.access)).json()["result"]["isError"]
    assert await notes.works(tokens.access)
    assert tokens_of(await notes.refresh(tokens.refresh)).scope == "memories:read"
    assert tokens_of(await notes.redeem(code)).scope == "memories:read"


async def test_086_only_a_refresh_token_refreshes(notes: App, ann: Person) -> None:
    tokens = await notes.connect(ann)
    code = await ann.allow(notes.request())
    session = ann.browser.cookies["ory_kratos_session"]
    for other in (tokens.access, code, session, "sk_im_x", tokens.refresh[:-1], tokens.refresh + "x", "x" * 5000):
        assert error_of(await notes.refresh(other)) == "invalid_grant"
    assert error_of(await notes.refresh("")) == "invalid_request"
    assert (await notes.refresh(tokens.refresh)).status_code == 200
