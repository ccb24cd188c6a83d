"""OAuth requests of strangers and users store nothing, or a bounded number of small rows."""

import itertools
import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import sqlalchemy as sa
from sqlmodel import col, select

from oauth import client_documents
from server.domain.grants import authorizations, clients, retention, tokens
from server.domain.grants.clients import Description
from server.models import AuthorizationRequest, OAuthClient, OAuthGrant
from server.models.base import now
from server.storage.database import Database
from tests.oauth.conftest import MakePerson, Register
from tests.support.flows import CALLBACK, PLAIN, App, Person, app_at, error_of, form_of, is_page, tokens_of
from tests.support.hosts import Host
from tests.support.rows import row_counts
from tests.support.tables import rows

LOOK = "/oauth/authorize"


async def test_018_049_a_strangers_request_is_not_stored(
    notes: App, client: httpx.AsyncClient, database: Database
) -> None:
    """It travels in the address of the sign-in page, which is the client's own text."""
    before = row_counts(database)
    for number in range(5):
        asked = notes.request(state=f"{number} %2B/=&+é" + "x" * 3000)
        response = await client.get(LOOK, params=asked)
        assert response.status_code == 303
        kept = parse_qs(urlsplit(response.headers["location"]).query)["next"][0]
        assert kept.startswith(f"{LOOK}?")
        assert {name: values[0] for name, values in parse_qs(urlsplit(kept).query).items()} == asked
        assert "set-cookie" not in response.headers
    assert row_counts(database) == before


@pytest.mark.sqlite_only
async def test_c18_the_request_survives_the_way_over_a_forgotten_password(notes: App, ann: Person) -> None:
    """Every page of the way leads back to it."""
    begun = await ann.browser.get(LOOK, params=notes.request())
    sign_in = await ann.browser.get(begun.headers["location"])
    forgot = await ann.browser.get(link_of(sign_in, "/forgot-password"))
    sent = await ann.browser.post(form_of(forgot).action, data={"email": ann.email})
    for page in (forgot, sent):
        back = link_of(page, "/sign-in")
        assert back == begun.headers["location"] or "authorize" in back
    page = await ann.follow(await ann.sign_in(link_of(sent, "/sign-in")))
    assert form_of(page).options["decision"] == ["allow", "deny"]


@pytest.mark.sqlite_only
async def test_a_request_of_more_than_eight_kilobytes_is_refused_to_everyone(notes: App, ann: Person) -> None:
    for _ in range(2):  # before and after sign-in
        assert is_page(await ann.browser.get(LOOK, params=notes.request(state="x" * 8000)), 413)
        await ann.sign_in()
    assert (await ann.open(notes.request(state="x" * 7000))).status_code == 200


async def test_a_new_grant_replaces_the_one_unused_for_the_longest_time(
    notes: App, ann: Person, ben: Person, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while one that stays is locked, because its tokens are refreshed."""
    monkeypatch.setattr(tokens, "MAX_GRANTS", 2)
    bens = await notes.connect(ben)
    first, second = await notes.connect(ann), await notes.connect(ann)
    assert await notes.works(first.access)
    used = select(OAuthGrant.id).where(col(OAuthGrant.last_used_at).is_not(None))
    with database.read() if database.is_sqlite else database.write() as session:
        session.exec(used.with_for_update())
        third = await notes.connect(ann)
    assert [await notes.works(one.access) for one in (first, second, third, bens)] == [True, False, True, True]
    assert error_of(await notes.refresh(second.refresh)) == "invalid_grant"


async def test_a_browser_session_has_a_bounded_number_of_open_requests(
    notes: App, ann: Person, ben: Person, database: Database
) -> None:
    """The oldest ends, with a page that says so; another session's stays."""
    bens = await ben.open(notes.request())
    first = await ann.open(notes.request())
    for _ in range(authorizations.MAX_OPEN_REQUESTS):
        newest = await ann.open(notes.request())
    with database.read() as session:
        assert len(session.exec(select(AuthorizationRequest)).all()) == authorizations.MAX_OPEN_REQUESTS + 1
    assert is_page(await ann.decide(first), 404)
    for person, page in ((ann, newest), (ben, bens)):
        assert (await person.decide(page)).status_code == 303


async def test_the_same_public_client_registers_once(
    client: httpx.AsyncClient, database: Database, ann: Person
) -> None:
    first = await client.post("/oauth/register", json=PLAIN)
    before = row_counts(database)
    reordered = dict(reversed(PLAIN.items())) | {"unknown": "member"}
    again = [await client.post("/oauth/register", json=metadata) for metadata in (PLAIN, reordered)]
    assert [response.status_code for response in again] == [201, 201]
    assert [response.json() for response in again] == [first.json()] * 2
    assert row_counts(database) == before
    app = App(client, first.json()["client_id"])
    assert await app.works((await app.connect(ann)).access)


@pytest.mark.sqlite_only
@rows("changed", [{"client_name": "Other"}, {"redirect_uris": [CALLBACK, "https://a.example/"]}])
async def test_019_another_client_gets_another_id(client: httpx.AsyncClient, changed: dict[str, object]) -> None:
    one, other = [await client.post("/oauth/register", json=PLAIN | more) for more in ({}, changed)]
    assert one.json()["client_id"] != other.json()["client_id"]


@pytest.mark.settings(trusted_proxies=("127.0.0.0/8",))
async def test_the_same_client_from_another_address_is_another(client: httpx.AsyncClient) -> None:
    ids = {
        (await client.post("/oauth/register", json=PLAIN, headers={"X-Forwarded-For": address})).json()["client_id"]
        for address in ("203.0.113.1", "203.0.113.2", "203.0.113.1")
    }
    assert len(ids) == 2


async def test_a_client_with_a_secret_is_created_again(client: httpx.AsyncClient) -> None:
    secret = PLAIN | {"token_endpoint_auth_method": "client_secret_basic"}
    one, other = [(await client.post("/oauth/register", json=secret)).json() for _ in range(2)]
    assert one["client_id"] != other["client_id"]
    assert one["client_secret"] != other["client_secret"]


@pytest.mark.settings(rate_limit_enabled=True, rate_limit_registration="2/hour")
async def test_017_the_same_client_again_counts_for_no_limit(client: httpx.AsyncClient) -> None:
    for number in range(4):
        assert (await client.post("/oauth/register", json=PLAIN)).status_code == 201, number
    others = [await client.post("/oauth/register", json=PLAIN | {"client_name": str(n)}) for n in range(3)]
    assert [response.status_code for response in others] == [201, 429, 429]
    error_of(others[-1], 429)
    assert (await client.post("/oauth/register", json=PLAIN)).status_code == 201


async def test_021_a_client_that_registers_again_is_not_forgotten_meanwhile(
    client: httpx.AsyncClient, database: Database, ann: Person
) -> None:
    client_id = (await client.post("/oauth/register", json=PLAIN)).json()["client_id"]
    with database.write() as session:
        session.execute(sa.update(OAuthClient).values(created_at=now() - timedelta(days=31)))
    assert (await client.post("/oauth/register", json=PLAIN)).json()["client_id"] == client_id
    with database.write() as session:
        retention.remove_expired(session, 30)
    assert (await ann.open(App(client, client_id).request())).status_code == 200


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    "large",
    [
        {"client_name": "x" * 4000, "software_id": "x" * 4000, "software_version": "x" * 4000},
        {"redirect_uris": [f"https://a.example/{n}/" + "x" * 1000 for n in range(10)]},
    ],
)
async def test_016_a_description_is_small(client: httpx.AsyncClient, large: dict[str, object]) -> None:
    response = await client.post("/oauth/register", json=PLAIN | large)
    assert error_of(response) == "invalid_client_metadata"
    assert "8 KB" in response.json()["error_description"]


@pytest.mark.sqlite_only
@pytest.mark.settings(cimd_allow_private=True)
async def test_027_a_document_that_describes_too_much_is_refused(
    host: Host, client: httpx.AsyncClient, ann: Person
) -> None:
    many = [f"https://a.example/{n}/" + "x" * 1000 for n in range(10)]
    url = host.publish("/client", PLAIN | {"redirect_uris": many})
    assert is_page(await ann.open(app_at(client, url, many[0]).request()))


@pytest.mark.settings(cimd_allow_private=True, rate_limit_enabled=True, rate_limit_document="3/hour")
async def test_035_documents_are_fetched_within_a_persons_limit(
    host: Host, client: httpx.AsyncClient, ann: Person, ben: Person
) -> None:
    urls = [host.publish(f"/{number}", PLAIN) for number in range(4)]
    statuses = [(await ann.open(app_at(client, url).request())).status_code for url in urls]
    assert statuses == [200, 200, 200, 429]
    assert len(host.asked) == 3
    known = await ann.open(app_at(client, urls[0]).request())
    assert known.status_code == 200  # our copy is fresh
    assert (await ben.open(app_at(client, urls[3]).request())).status_code == 200


@pytest.mark.settings(
    cimd_allow_private=True, rate_limit_enabled=True, rate_limit_document="1/hour", rate_limit_sign_in="99/minute"
)
async def test_035_a_host_is_asked_within_a_limit_of_its_own(
    host: Host, client: httpx.AsyncClient, make_person: MakePerson
) -> None:
    """However many people ask: ten times what one person may."""
    people = [await make_person(f"p{number}@example.com") for number in range(11)]
    urls = [host.publish(f"/{number}", PLAIN) for number in range(11)]
    statuses = [
        (await person.open(app_at(client, url).request())).status_code for person, url in zip(people, urls, strict=True)
    ]
    assert statuses == [200] * 10 + [429]


@pytest.mark.settings(cimd_allow_private=True, rate_limit_enabled=True, rate_limit_document="1/hour")
async def test_035_beyond_the_limit_an_old_copy_stands_in(
    host: Host, client: httpx.AsyncClient, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_documents, "MIN_LIFETIME", client_documents.MIN_LIFETIME * 0)
    app = app_at(client, host.publish("/client", PLAIN, {"Cache-Control": "no-store"}))
    assert [(await ann.open(app.request())).status_code for _ in range(2)] == [200, 200]
    assert len(host.asked) == 1


def test_a_document_that_nobody_uses_is_forgotten_after_a_day(database: Database) -> None:
    with database.write() as session:
        for name in ("old", "young"):
            clients.keep_document(session, f"https://{name}.example/c", Description(name, [CALLBACK]), now())
        old = sa.update(OAuthClient).where(col(OAuthClient.name) == "old")
        session.execute(old.values(created_at=now() - timedelta(days=1)))
        retention.remove_expired(session, 30)
    with database.read() as session:
        assert session.exec(select(OAuthClient.name)).all() == ["young"]


@pytest.mark.settings(cimd_allow_private=True)
async def test_a_document_in_use_is_kept(
    host: Host, client: httpx.AsyncClient, ann: Person, database: Database
) -> None:
    """By a connection, or by a person who is deciding."""
    used, opened = [app_at(client, host.publish(path, PLAIN)) for path in ("/used", "/opened")]
    tokens = await used.connect(ann)
    page = await ann.open(opened.request())
    with database.write() as session:
        session.execute(sa.update(OAuthClient).values(created_at=now() - timedelta(days=9)))
        retention.remove_expired(session, 30)
    assert await used.works(tokens.access)
    assert (await ann.decide(page)).status_code == 303


def test_unused_documents_are_bounded_in_number(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "MAX_UNUSED_DOCUMENTS", 3)
    with database.write() as session:
        for number in range(5):
            clients.keep_document(session, f"https://{number}.example/c", Description(str(number), [CALLBACK]), now())
    with database.read() as session:
        assert sorted(session.exec(select(OAuthClient.name)).all()) == ["2", "3", "4"]


@pytest.mark.sqlite_only
@pytest.mark.settings(rate_limit_enabled=True, rate_limit_token_failure="3/minute")
@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke", "/oauth/introspect"])
async def test_078_a_stranger_who_varies_its_id_gets_no_new_budget(client: httpx.AsyncClient, path: str) -> None:
    statuses = []
    for number in range(5):
        data = {"grant_type": "refresh_token", "refresh_token": "x", "token": "x", "client_id": f"client_{number}"}
        statuses.append((await client.post(path, data=data)).status_code)
    assert statuses == [401, 401, 401, 429, 429]


@pytest.mark.sqlite_only
@pytest.mark.settings(rate_limit_enabled=True, rate_limit_token_failure="2/minute")
async def test_078_a_caller_that_varies_known_clients_is_limited_too(register: Register) -> None:
    apps = [await register() for _ in range(11)]
    statuses = [(await app.refresh("sm_rt_guess")).status_code for app in apps for _ in range(2)]
    assert statuses == [400] * 20 + [429] * 2


@pytest.mark.sqlite_only
@pytest.mark.settings(rate_limit_enabled=True, rate_limit_request="20/minute", trusted_proxies=("127.0.0.0/8",))
async def test_a_grant_refreshes_within_the_general_limit(notes: App, ann: Person, ben: Person) -> None:
    """However many tokens its family has, from however many addresses."""
    addresses = (f"203.0.113.{number}" for number in itertools.count(1))

    async def from_another_address(request: httpx.Request) -> None:
        request.headers["X-Forwarded-For"] = next(addresses)

    notes.http.event_hooks = {"request": [from_another_address]}
    anns, bens = await notes.connect(ann), await notes.connect(ben)
    for _ in range(20):
        anns = tokens_of(await notes.refresh(anns.refresh))
    assert error_of(await notes.refresh(anns.refresh), 429) == "slow_down"
    assert (await notes.refresh(bens.refresh)).status_code == 200


def link_of(page: httpx.Response, path: str) -> str:
    link = re.search(rf'href="({path}[^"]*)"', page.text)
    assert link, page.text
    return link[1].replace("&amp;", "&")
