"""Sign-in and sign-out: cookies, rate limits, and the redirect back."""

import re
import unicodedata

import httpx
import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from server.app import create_app
from server.dashboard.views.entrance import local_path
from server.domain.credentials import IDLE_TIMEOUT
from server.models import BrowserSession, User
from server.models.base import now
from server.settings import Settings
from server.storage.database import Database
from tests.conftest import Tenant
from tests.support.browsers import COOKIE, PASSWORD, browser_at, fresh, sign_in, sign_up
from tests.support.fakes import WordEmbedder
from tests.support.started import running
from tests.support.tables import rows


async def test_061_the_cookie_is_limited_to_this_site_and_hidden_from_scripts(client: httpx.AsyncClient) -> None:
    cookie = (await sign_up(client)).headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=sm_se_")
    attributes = {part.strip() for part in cookie.split(";")[1:]}
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= attributes
    assert not [one for one in attributes if one.lower().startswith(("domain", "secure"))]


async def test_under_https_the_cookie_is_secure(settings: Settings) -> None:
    secure = settings.model_copy(update={"public_url": "https://memory.example.com"})
    async with running(create_app(secure, lambda _settings: WordEmbedder())) as app:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="https://memory.example.com") as client:
            assert "; Secure" in (await sign_up(client)).headers["set-cookie"]


async def test_063_r07_a_wrong_password_and_an_unknown_address_get_the_same_answer(client: httpx.AsyncClient) -> None:
    await sign_up(client)
    browser = fresh(client)
    wrong = await sign_in(browser, password="not the password")
    unknown = await sign_in(browser, "eve@example.com", password="not the password")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text.replace("ann@", "eve@") == unknown.text
    assert COOKIE not in browser.cookies
    assert (await sign_in(browser)).status_code == 303


async def test_a_password_is_right_in_both_encodings_of_accents(client: httpx.AsyncClient, database: Database) -> None:
    composed, decomposed = (unicodedata.normalize(form, "pässwört für zoë") for form in ("NFC", "NFD"))
    for stored, typed in ((composed, decomposed), (decomposed, composed)):
        address = f"{len(stored)}@example.com"
        await sign_up(client, address, password=stored)
        assert (await sign_in(fresh(client), address, typed)).status_code == 303
    with database.write() as session:  # as an earlier version stored it
        session.execute(sa.update(User).values(password_hash=PasswordHasher().hash(decomposed)))
    assert (await sign_in(fresh(client), address, decomposed)).status_code == 303


async def test_r10_sign_in_creates_a_new_session_and_sign_out_ends_it_on_the_server(client: httpx.AsyncClient) -> None:
    await sign_up(client)
    first = client.cookies[COOKIE]
    await sign_in(client)
    second = client.cookies[COOKIE]
    assert first != second
    assert (await client.get("/api/users/me", headers={"Authorization": f"Session {first}"})).status_code == 401
    answer = await client.post("/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert COOKIE not in client.cookies
    assert (await client.get("/api/users/me", headers={"Authorization": f"Session {second}"})).status_code == 401


async def test_061_a_cookie_chosen_before_sign_in_is_not_adopted(client: httpx.AsyncClient) -> None:
    await sign_up(client)
    browser = fresh(client)
    browser.cookies.set(COOKIE, "sm_se_chosen", domain="localhost.local")
    await sign_in(browser)
    assert "sm_se_chosen" not in [cookie.value for cookie in browser.cookies.jar if len(cookie.value or "") > 20]
    chosen = await client.get("/api/users/me", headers={"Authorization": "Session sm_se_chosen"})
    assert chosen.status_code == 401


@pytest.mark.parametrize("column", ["expires_at", "last_seen_at"])
async def test_r10_a_session_expires_by_age_and_by_inactivity(
    client: httpx.AsyncClient, database: Database, column: str
) -> None:
    await sign_up(client)
    past = now() if column == "expires_at" else now() - IDLE_TIMEOUT
    with database.write() as session:
        session.execute(sa.update(BrowserSession).values({column: past}))
    assert (await client.get("/api/users/me")).status_code == 401
    assert (await client.get("/dashboard")).headers["location"].startswith("/sign-in?next=")


@pytest.mark.parametrize(
    "path", ["/dashboard?x=1", "/oauth/authorize?state=" + "%2B%26" * 1500, "/accept-invitation/t", "/a%2Fb?c=%0d%0a"]
)
async def test_sign_in_redirects_back_to_the_previous_page(client: httpx.AsyncClient, path: str) -> None:
    await sign_up(client)
    answer = await fresh(client).post(
        "/sign-in", params={"next": path}, data={"email": "ann@example.com", "password": PASSWORD}
    )
    assert answer.headers["location"] == path
    shown = await fresh(client).get("/sign-in", params={"next": path})
    action = re.findall(r'action="(/sign-in[^"]*)"', shown.text)[0]
    again = await fresh(client).post(action, data={"email": "ann@example.com", "password": PASSWORD})
    assert again.headers["location"] == path
    assert re.search(r'href="/sign-up\?next=', shown.text)


@rows(
    "path",
    [
        "//evil.example", "/\\evil.example", "\\\\evil.example", "https:evil.example", "https://evil.example",
        "javascript:alert(1)", "/\r\nSet-Cookie: a=b", "/\tx", " //evil.example", "evil", "", "/a\\b",
    ],
)  # fmt: skip
async def test_062_sign_in_never_redirects_to_another_site(client: httpx.AsyncClient, path: str) -> None:
    await sign_up(client)
    answer = await client.post("/sign-in", data={"email": "ann@example.com", "password": PASSWORD, "next": path})
    assert answer.headers["location"] == "/dashboard"
    assert local_path(path) == "/dashboard"


async def test_064_responses_to_a_password_are_303_redirects(client: httpx.AsyncClient) -> None:
    answers = [await sign_up(client), await sign_in(client), await client.post("/sign-out")]
    assert {answer.status_code for answer in answers} == {303}


async def test_pages_need_a_session_and_refuse_api_keys(client: httpx.AsyncClient, alice: Tenant) -> None:
    answer = await client.get("/dashboard", params={"a": "b"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Fdashboard%3Fa%3Db")
    assert (await client.get("/")).headers["location"] == "/dashboard"
    assert (await client.get("/dashboard", headers=alice.auth)).status_code == 303


async def test_063_r08_r16_a_forged_forwarding_header_resets_no_limit(settings: Settings) -> None:
    limited = settings.model_copy(update={"rate_limit_enabled": True, "rate_limit_sign_in": "1/hour"})
    async with running(create_app(limited, lambda _settings: WordEmbedder())) as app:
        first = browser_at(app, "203.0.113.1")
        assert (await sign_in(first)).status_code == 401
        data = {"email": "ann@example.com", "password": PASSWORD}
        forged = await first.post("/sign-in", data=data, headers={"X-Forwarded-For": "198.51.100.7"})
        assert forged.status_code == 429


@pytest.mark.parametrize("cookies", ["{name}={own}; {name}={foreign}", "{name}={foreign}; {name}={own}"])
async def test_a_cookie_of_the_same_name_for_the_domain_above_does_not_hide_the_session(
    client: httpx.AsyncClient, cookies: str
) -> None:
    """Ory Kratos, beside this server, sets such a cookie for all hosts of its domain."""
    await sign_up(client)
    own = client.cookies[COOKIE]
    browser = fresh(client)
    sent = {"Cookie": cookies.format(name=COOKIE, own=own, foreign="MTY4ODM4Nzk0NHxEdi1CQkFFQ180SUFBUkFC")}
    assert (await browser.get("/api/users/me", headers=sent)).status_code == 200
    assert (await browser.post("/sign-out", headers=sent)).headers["location"] == "/sign-in"
    assert (await browser.get("/api/users/me", headers=sent)).status_code == 401
