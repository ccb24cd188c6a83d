"""Requirements 68, 69, 78, 82 and 52 under concurrency, on SQLite and on Postgres."""

import asyncio
from collections import Counter

import httpx
import pytest
from sqlmodel import select

from server.domain.grants import authorizations, clients
from server.domain.grants.clients import Description
from server.models import AccessToken, AuthorizationCode, AuthorizationRequest, OAuthGrant, RefreshToken
from server.models.base import now
from server.storage.database import Database
from tests.support.flows import CALLBACK, PLAIN, App, Person, answer_of, app_at, error_of, tokens_of
from tests.support.hosts import Host
from tests.support.world import wait_for_a_waiter

AT_ONCE = 20


async def test_068_of_twenty_redemptions_one_succeeds(notes: App, ann: Person, database: Database) -> None:
    code = await ann.allow(notes.request())
    responses = await asyncio.gather(*(notes.redeem(code) for _ in range(AT_ONCE)))
    assert Counter(response.status_code for response in responses) == {200: 1, 400: AT_ONCE - 1}
    for response in responses:
        if response.status_code == 400:
            assert error_of(response) == "invalid_grant"
        else:  # 69: the other redemptions revoked it
            assert not await notes.works(tokens_of(response).access)
    with database.read() as session:
        assert session.exec(select(OAuthGrant)).all() == []


async def test_082_of_twenty_refreshes_at_once_three_succeed(notes: App, ann: Person, database: Database) -> None:
    """And the others end nothing: each of the three goes on."""
    first = await notes.connect(ann)
    responses = await asyncio.gather(*(notes.refresh(first.refresh) for _ in range(AT_ONCE)))
    assert Counter(response.status_code for response in responses) == {200: 3, 400: AT_ONCE - 3}
    second = [tokens_of(response) for response in responses if response.status_code == 200]
    third = [tokens_of(one) for one in await asyncio.gather(*(notes.refresh(one.refresh) for one in second))]
    assert len({tokens.refresh for tokens in [*second, *third]}) == 6
    assert all(await asyncio.gather(*(notes.works(tokens.access) for tokens in [*second, *third])))
    with database.read() as session:
        assert len(session.exec(select(OAuthGrant)).all()) == 1
        assert len([row for row in session.exec(select(RefreshToken)) if row.rotated_at is None]) == 3


async def test_twenty_registrations_of_one_client_at_once_give_one(client: httpx.AsyncClient) -> None:
    responses = await asyncio.gather(*(client.post("/oauth/register", json=PLAIN) for _ in range(AT_ONCE)))
    assert {response.status_code for response in responses} == {201}
    assert len({response.json()["client_id"] for response in responses}) == 1


async def test_a_session_that_opens_many_requests_at_once_stays_within_its_bound(
    notes: App, ann: Person, database: Database
) -> None:
    await ann.sign_in()
    for _ in range(2):
        opened = [ann.browser.get("/oauth/authorize", params=notes.request()) for _ in range(AT_ONCE)]
        assert {response.status_code for response in await asyncio.gather(*opened)} == {200}
    assert (await ann.open(notes.request())).status_code == 200
    with database.read() as session:
        assert len(session.exec(select(AuthorizationRequest)).all()) <= authorizations.MAX_OPEN_REQUESTS


@pytest.mark.settings(refresh_grace_seconds=0)
async def test_081_without_grace_one_of_twenty_refreshes_succeeds_and_is_revoked(
    notes: App, ann: Person, database: Database
) -> None:
    first = await notes.connect(ann)
    responses = await asyncio.gather(*(notes.refresh(first.refresh) for _ in range(AT_ONCE)))
    assert Counter(response.status_code for response in responses) == {200: 1, 400: AT_ONCE - 1}
    with database.read() as session:
        assert session.exec(select(OAuthGrant)).all() == []


async def test_a_revocation_among_refreshes_leaves_no_valid_token(notes: App, ann: Person, database: Database) -> None:
    first = await notes.connect(ann)
    refreshes = [notes.refresh(first.refresh) for _ in range(10)]
    responses = await asyncio.gather(
        *refreshes[:5], notes.post("/oauth/revoke", {"token": first.refresh}), *refreshes[5:]
    )
    assert {response.status_code for response in responses} <= {200, 400}
    with database.read() as session:
        for table in (OAuthGrant, AccessToken, RefreshToken):
            assert session.exec(select(table)).all() == []


async def test_052_after_many_answers_one_code_is_valid(notes: App, ann: Person, database: Database) -> None:
    page = await ann.open(notes.request())
    codes = [answer_of(one)["code"] for one in await asyncio.gather(*(ann.decide(page) for _ in range(10)))]
    with database.read() as session:
        assert len(session.exec(select(AuthorizationCode)).all()) == 1
    statuses = [(await notes.redeem(code)).status_code for code in codes]
    assert Counter(statuses) == {200: 1, 400: 9}


@pytest.mark.settings(cimd_allow_private=True)
async def test_two_requests_may_store_the_same_document_at_once(
    host: Host, client: httpx.AsyncClient, ann: Person, database: Database
) -> None:
    app = app_at(client, host.publish("/client", PLAIN))
    with database.write() as session:
        clients.keep_document(session, app.client_id, Description("Another", [CALLBACK]), now())
        opening = asyncio.create_task(ann.open(app.request()))
        await asyncio.to_thread(wait_for_a_waiter, database)
    assert (await opening).status_code == 200
