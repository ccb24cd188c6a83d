"""Passkeys through the pages: adding, listing, deleting, signing in, and every answer that must be refused."""

import json
from collections.abc import Callable

import httpx
import pytest
import sqlalchemy as sa
from starlette.types import ASGIApp

from server.app import create_app
from server.settings import Settings
from server.storage.database import Database
from tests.conftest import ORIGIN
from tests.support.browsers import COOKIE, fresh, sign_in, sign_up
from tests.support.fakes import WordEmbedder
from tests.support.passkeys import USER_PRESENT, Passkey, options_of
from tests.support.started import running
from tests.support.tables import rows

PASSKEYS = "/dashboard/account/passkeys"
REFUSED = "This passkey did not work here."


def new_passkey() -> Passkey:
    return Passkey(ORIGIN, "localhost")


async def add(browser: httpx.AsyncClient, passkey: Passkey, name: str = "Laptop") -> httpx.Response:
    page = await browser.get(PASSKEYS)
    credential = passkey.created(options_of(page))
    return await browser.post(PASSKEYS, data={"name": name, "credential": credential})


async def sign_in_with(
    browser: httpx.AsyncClient, passkey: Passkey, path: str = "", credential: str | None = None
) -> httpx.Response:
    page = await browser.get("/sign-in")
    answer = passkey.used(options_of(page)) if credential is None else credential
    return await browser.post(f"/sign-in/passkey{path}", data={"credential": answer})


@pytest.fixture
async def passkey(client: httpx.AsyncClient) -> Passkey:
    """A passkey of an account in the browser `client`."""
    await sign_up(client)
    passkey = new_passkey()
    added = await add(client, passkey)
    assert added.headers["location"] == f"{PASSKEYS}?done=passkey-added", added.text
    return passkey


def counts(database: Database) -> dict[str, int]:
    with database.read() as session:
        names = sa.inspect(session.connection()).get_table_names()
        return {name: session.execute(sa.text(f'SELECT count(*) FROM "{name}"')).scalar_one() for name in names}


async def test_a_passkey_is_listed_and_signs_in(client: httpx.AsyncClient, passkey: Passkey) -> None:
    assert "Laptop" in (await client.get(PASSKEYS)).text
    browser = fresh(client)
    answer = await sign_in_with(browser, passkey, "?next=/dashboard/account")
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/account")
    assert (await browser.get("/dashboard/account")).status_code == 200
    assert "Last used" in (await client.get(PASSKEYS)).text


async def test_next_leads_to_this_site_alone(client: httpx.AsyncClient, passkey: Passkey) -> None:
    answer = await sign_in_with(fresh(client), passkey, "?next=//evil.example")
    assert answer.headers["location"] == "/dashboard"


async def test_a_deleted_passkey_no_longer_signs_in(client: httpx.AsyncClient, passkey: Passkey) -> None:
    page = await client.get(PASSKEYS)
    path = page.text.split('action="')[1:]
    delete = next(part.split('"')[0] for part in path if part.split('"')[0].endswith("/delete"))
    assert (await client.post(delete)).headers["location"] == f"{PASSKEYS}?done=passkey-deleted"
    answer = await sign_in_with(fresh(client), passkey)
    assert answer.status_code == 401
    assert REFUSED in answer.text


LIES: dict[str, Callable[[Passkey], Passkey]] = {
    "another site's page": lambda passkey: passkey.but(origin="https://evil.example"),
    "another host": lambda passkey: passkey.but(host="evil.example"),
    "no fingerprint, face or PIN": lambda passkey: passkey.but(flags=USER_PRESENT),
    "another key": lambda passkey: passkey.but(key=new_passkey().key),
    "another user": lambda passkey: passkey.but(user_handle=b"user_somebody"),
    "an unknown passkey": lambda passkey: passkey.but(credential_id=b"unknown"),
}


@rows("lie", LIES)
async def test_a_passkey_that_lies_is_refused(client: httpx.AsyncClient, passkey: Passkey, lie: str) -> None:
    browser = fresh(client)
    answer = await sign_in_with(browser, LIES[lie](passkey))
    assert answer.status_code == 401
    assert REFUSED in answer.text
    assert COOKIE not in browser.cookies


async def test_an_answer_counts_once(client: httpx.AsyncClient, passkey: Passkey) -> None:
    browser = fresh(client)
    credential = passkey.used(options_of(await browser.get("/sign-in")))
    kept = dict(browser.cookies)
    first = await browser.post("/sign-in/passkey", data={"credential": credential})
    thief = fresh(client)
    thief.cookies.update(kept)
    second = await thief.post("/sign-in/passkey", data={"credential": credential})
    assert (first.status_code, second.status_code) == (303, 401)


async def test_an_answer_counts_in_the_browser_that_was_asked(client: httpx.AsyncClient, passkey: Passkey) -> None:
    credential = passkey.used(options_of(await fresh(client).get("/sign-in")))
    for other in (fresh(client), fresh(client)):
        answer = await other.post("/sign-in/passkey", data={"credential": credential})
        assert answer.status_code == 401


async def test_tabs_of_one_browser_share_the_challenge(client: httpx.AsyncClient, passkey: Passkey) -> None:
    browser = fresh(client)
    first = await browser.get("/sign-in")
    await browser.get("/sign-in")
    answer = await browser.post("/sign-in/passkey", data={"credential": passkey.used(options_of(first))})
    assert answer.status_code == 303


async def test_a_challenge_ends(client: httpx.AsyncClient, passkey: Passkey, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = fresh(client)
    credential = passkey.used(options_of(await browser.get("/sign-in")))
    monkeypatch.setattr("server.dashboard.cookies.SEALED_SECONDS", -1)
    answer = await browser.post("/sign-in/passkey", data={"credential": credential})
    assert answer.status_code == 401


async def test_a_copied_passkey_is_refused(client: httpx.AsyncClient, passkey: Passkey) -> None:
    """A count that does not grow is what a copied key looks like (Web Authentication section 6.1.1)."""
    assert (await sign_in_with(fresh(client), passkey.but(sign_count=5))).status_code == 303
    assert (await sign_in_with(fresh(client), passkey.but(sign_count=5))).status_code == 401
    assert (await sign_in_with(fresh(client), passkey.but(sign_count=6))).status_code == 303


@rows(
    "credential",
    ["", "x", "[]", "null", "{}", '{"id": 1}', '{"id": "\\ud800", "rawId": "", "type": "public-key", "response": {}}',
     "9" * 5000, "[" * 20_000],
)  # fmt: skip
async def test_nonsense_is_refused_and_writes_nothing(
    client: httpx.AsyncClient, passkey: Passkey, database: Database, credential: str
) -> None:
    before = counts(database)
    for path in ("/sign-in/passkey", "/sign-in/passkey?next=/dashboard"):
        browser = fresh(client)
        await browser.get("/sign-in")
        answer = await browser.post(path, data={"credential": credential})
        assert answer.status_code == 401, answer.text
    assert (await client.post(PASSKEYS, data={"name": "x", "credential": credential})).status_code == 400
    assert counts(database) == before


@rows("name", ["\ud800", "\0", "é"])
async def test_an_id_that_no_passkey_can_have_is_refused(
    client: httpx.AsyncClient, passkey: Passkey, name: str
) -> None:
    browser = fresh(client)
    credential = json.loads(passkey.used(options_of(await browser.get("/sign-in")))) | {"id": name}
    answer = await browser.post("/sign-in/passkey", data={"credential": json.dumps(credential)})
    assert answer.status_code == 401, answer.text


async def test_strangers_who_try_write_nothing(client: httpx.AsyncClient, passkey: Passkey, database: Database) -> None:
    before = counts(database)
    for lie in LIES.values():
        await sign_in_with(fresh(client), lie(passkey))
    assert counts(database) == before


@rows("value", ["", "x", "é", "gAAAAA", "a" * 3000])
async def test_a_foreign_cookie_is_no_challenge(client: httpx.AsyncClient, passkey: Passkey, value: str) -> None:
    browser = fresh(client)
    credential = passkey.used(options_of(await browser.get("/sign-in")))
    browser.cookies.clear()
    cookie = {"Cookie": f"passkey_challenge={value}".encode()}
    answer = await browser.post("/sign-in/passkey", data={"credential": credential}, headers=cookie)  # type: ignore[arg-type]  # bytes, as a browser may send
    assert answer.status_code == 401


async def test_a_form_of_another_site_is_refused(client: httpx.AsyncClient, passkey: Passkey) -> None:
    browser = fresh(client)
    credential = passkey.used(options_of(await browser.get("/sign-in")))
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = await browser.post("/sign-in/passkey", data={"credential": credential}, headers=headers)
        assert answer.status_code == 403


@pytest.mark.parametrize(
    "lie",
    [
        lambda passkey: passkey.but(origin="https://evil.example"),
        lambda passkey: passkey.but(host="evil.example"),
        lambda passkey: passkey.but(flags=USER_PRESENT),
        lambda passkey: passkey.but(credential_id=bytes(1024)),
    ],
)
async def test_what_must_not_be_added(client: httpx.AsyncClient, lie: Callable[[Passkey], Passkey]) -> None:
    await sign_up(client)
    answer = await add(client, lie(new_passkey()))
    assert answer.status_code == 400
    assert "The passkey could not be added." in answer.text
    assert "You have no passkeys yet." in answer.text


async def test_a_challenge_of_the_sign_in_page_adds_nothing(client: httpx.AsyncClient) -> None:
    """And one of another session neither: a challenge is for one purpose."""
    await sign_up(client)
    stranger = fresh(client)
    page = await stranger.get("/sign-in")
    passkey = new_passkey()
    user = options_of(await client.get(PASSKEYS))["user"]
    credential = passkey.created(options_of(page) | {"user": user})
    session, challenge = client.cookies[COOKIE], stranger.cookies["passkey_challenge"]
    client.cookies.clear()
    cookies = {"Cookie": f"{COOKIE}={session}; passkey_challenge={challenge}"}
    answer = await client.post(PASSKEYS, data={"name": "x", "credential": credential}, headers=cookies)
    assert answer.status_code == 400
    assert "You have no passkeys yet." in (await client.get(PASSKEYS, headers=cookies)).text


async def test_a_passkey_belongs_to_one_account(client: httpx.AsyncClient, passkey: Passkey) -> None:
    browser = fresh(client)
    await sign_up(browser, "ben@example.com")
    answer = await add(browser, passkey)
    assert answer.status_code == 409
    assert "This passkey was already added." in answer.text


async def test_an_account_has_at_most_twenty(client: httpx.AsyncClient) -> None:
    await sign_up(client)
    for _ in range(20):
        assert (await add(client, new_passkey())).status_code == 303
    page = await client.get(PASSKEYS)
    assert "Delete one before you add another." in page.text


async def test_a_passkey_stands_for_both_factors_but_not_for_a_deleted_account(
    client: httpx.AsyncClient, passkey: Passkey, database: Database
) -> None:
    await client.post("/dashboard/account/delete", data={"confirm": "ann@example.com"})
    assert (await sign_in_with(fresh(client), passkey)).status_code == 401
    assert counts(database)["passkeys"] == 0


async def test_the_only_way_in_stays(client: httpx.AsyncClient, passkey: Passkey, database: Database) -> None:
    with database.write() as session:
        session.execute(sa.text("UPDATE users SET password_hash = NULL"))
    with database.read() as session:
        passkey_id = session.execute(sa.text("SELECT id FROM passkeys")).scalar_one()
    answer = await client.post(f"{PASSKEYS}/{passkey_id}/delete")
    assert answer.status_code == 409
    assert "This passkey is the only way to sign in to your account." in answer.text


async def test_another_persons_passkey_cannot_be_deleted(
    client: httpx.AsyncClient, passkey: Passkey, database: Database
) -> None:
    with database.read() as session:
        passkey_id = session.execute(sa.text("SELECT id FROM passkeys")).scalar_one()
    browser = fresh(client)
    await sign_up(browser, "ben@example.com")
    foreign = await browser.post(f"{PASSKEYS}/{passkey_id}/delete")
    unknown = await browser.post(f"{PASSKEYS}/pky_unknown/delete")
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.text == unknown.text
    assert (await sign_in_with(fresh(client), passkey)).status_code == 303


async def test_the_password_page_offers_it_again_after_a_wrong_password(
    client: httpx.AsyncClient, passkey: Passkey
) -> None:
    browser = fresh(client)
    page = await sign_in(browser, password="wrong password")
    answer = await browser.post("/sign-in/passkey", data={"credential": passkey.used(options_of(page))})
    assert answer.status_code == 303


@pytest.mark.parametrize("url", ["http://127.0.0.1:8081", "https://192.168.0.7", "https://[fd00::1]:8443"])
async def test_an_address_without_a_host_name_offers_none(settings: Settings, url: str) -> None:
    changed = settings.model_copy(update={"public_url": url})
    async with running(create_app(changed, lambda _settings: WordEmbedder())) as app:
        browser = at(app, url)
        assert "data-passkey" not in (await browser.get("/sign-in")).text
        await sign_up(browser)
        page = await browser.get(PASSKEYS)
        assert "Passkeys work where this server has a host name" in page.text
        assert (await browser.post(PASSKEYS, data={"name": "x", "credential": json.dumps({})})).status_code == 400


def at(app: ASGIApp, url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url=url)
