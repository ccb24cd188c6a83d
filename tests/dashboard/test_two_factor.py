"""Signing in with a second factor, and attacks on it."""

import html
import re
from collections.abc import AsyncIterator

import httpx
import pytest
import sqlalchemy as sa

from server.app import create_app
from server.models import PendingSignIn, RecoveryCode, SecondFactor
from server.models.base import now
from server.settings import Settings
from server.storage.database import Database
from tests.support.browsers import COOKIE, PASSWORD, browser_at, fresh, sign_in, sign_up
from tests.support.fakes import WordEmbedder
from tests.support.started import running
from tests.support.two_factor import EMAIL, STEP, Enrolled, confirm, enter, is_signed_in, reset_link, set_up
from tests.support.visitors import seen

CHANGING = f"{STEP}?next=/x"


async def test_after_the_password_a_code_is_asked_for(enrolled: Enrolled, half_way: httpx.AsyncClient) -> None:
    assert COOKIE not in half_way.cookies
    assert not await is_signed_in(half_way)
    assert (await half_way.get("/dashboard")).headers["location"].startswith("/sign-in")
    page = seen(await half_way.get(STEP))
    assert "Enter a code" in page
    assert "If you lost your recovery codes too, ask the administrator of this server" in page
    answer = await enter(half_way, enrolled.app.code())
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard")
    assert await is_signed_in(half_way)


@pytest.fixture
async def ben(enrolled: Enrolled) -> AsyncIterator[httpx.AsyncClient]:
    """The browser of Ben, who is signed in and has entered the password of `enrolled`, to change accounts."""
    async with fresh(enrolled.client) as browser:
        await sign_up(browser, "ben@example.com")
        sent = await browser.post("/sign-in?switch=1&next=/x", data={"email": EMAIL, "password": PASSWORD})
        assert sent.headers["location"] == CHANGING
        yield browser


async def test_the_second_step_is_also_for_a_person_who_is_signed_in(
    enrolled: Enrolled, ben: httpx.AsyncClient
) -> None:
    """They went on as before, in silence."""
    assert "Enter a code" in seen(await ben.get(CHANGING))
    assert (await ben.get("/api/users/me")).json()["email"] == "ben@example.com"
    await enter(ben, enrolled.app.code())
    assert (await ben.get("/api/users/me")).json()["email"] == EMAIL
    assert (await ben.get(STEP)).headers["location"] == "/dashboard"


async def test_the_second_step_leads_back_to_the_form_also_a_person_who_is_signed_in(
    enrolled: Enrolled, ben: httpx.AsyncClient
) -> None:
    """They want another account. They came to the page of the one that they have, in silence."""
    back = html.unescape(re.findall(r'href="(/sign-in[^"]*)"', (await ben.get(CHANGING)).text)[0])
    assert (await ben.get(back)).status_code == 200
    code = enrolled.app.code()
    step = ben.cookies["sign_in_step"]
    assert (await enter(ben, code)).status_code == 303
    cookies = f"sign_in_step={step}; {COOKIE}={ben.cookies[COOKIE]}"
    twice = await ben.post(CHANGING, data={"code": code}, headers={"Cookie": cookies})
    assert (await ben.get(twice.headers["location"])).headers["location"] == "/x"  # after a double click


async def test_half_a_sign_in_is_no_session(enrolled: Enrolled, half_way: httpx.AsyncClient) -> None:
    value = half_way.cookies["sign_in_step"]
    for headers in ({"Authorization": f"Session {value}"}, {"Cookie": f"{COOKIE}={value}"}):
        assert (await fresh(half_way).get("/api/users/me", headers=headers)).status_code == 401


async def test_a_wrong_code_does_not_sign_in(enrolled: Enrolled, half_way: httpx.AsyncClient) -> None:
    answer = await enter(half_way, enrolled.app.wrong())
    assert answer.status_code == 401
    assert "This code is incorrect" in seen(answer)
    assert not await is_signed_in(half_way)
    assert (await enter(half_way, enrolled.app.code())).status_code == 303


async def test_after_five_wrong_codes_the_password_is_asked_for_again(
    enrolled: Enrolled, half_way: httpx.AsyncClient
) -> None:
    for _ in range(5):
        assert (await enter(half_way, enrolled.app.wrong())).status_code == 401
    answer = await enter(half_way, enrolled.app.code())
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert not await is_signed_in(half_way)


async def test_a_code_works_once(enrolled: Enrolled, half_way: httpx.AsyncClient) -> None:
    code = enrolled.app.code()
    assert (await enter(half_way, code)).status_code == 303
    async with fresh(half_way) as second:
        await sign_in(second)
        assert (await enter(second, code)).status_code == 401
        assert not await is_signed_in(second)


async def test_a_recovery_code_works_once_in_any_spelling(enrolled: Enrolled, half_way: httpx.AsyncClient) -> None:
    code = enrolled.recovery_codes[0]
    assert (await enter(half_way, f" {code.upper().replace('-', ' ')} ")).status_code == 303
    assert "9 recovery codes left" in seen(await half_way.get("/dashboard/account"))
    async with fresh(half_way) as second:
        await sign_in(second)
        assert (await enter(second, code)).status_code == 401
        assert (await enter(second, enrolled.recovery_codes[1])).status_code == 303


async def test_a_code_may_be_in_the_digits_of_another_keyboard(enrolled: Enrolled, half_way: httpx.AsyncClient) -> None:
    arabic = enrolled.app.code().translate({ord(str(digit)): 0x660 + digit for digit in range(10)})
    assert (await enter(half_way, f"\u200e{arabic[:3]}\u00a0{arabic[3:]}")).status_code == 303
    full_width = {code: code + 0xFEE0 for code in range(ord("!"), ord("~"))}
    for code in (enrolled.recovery_codes[0].translate(full_width), enrolled.recovery_codes[1].replace("-", "\u2013")):
        async with fresh(half_way) as browser:
            await sign_in(browser)
            assert (await enter(browser, code)).status_code == 303


async def test_the_second_step_is_bound_to_the_browser(enrolled: Enrolled, half_way: httpx.AsyncClient) -> None:
    async with fresh(half_way) as other:
        answer = await enter(other, enrolled.app.code())
        assert answer.headers["location"] == "/sign-in"
        assert not await is_signed_in(other)
    cookie = (await sign_in(fresh(half_way))).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/sign-in", "Max-Age=600"} <= set(cookie.split("; "))


async def test_the_second_step_ends_after_ten_minutes(
    enrolled: Enrolled, half_way: httpx.AsyncClient, database: Database
) -> None:
    with database.write() as session:
        session.execute(sa.update(PendingSignIn).values(expires_at=now()))
    assert (await half_way.get(STEP)).headers["location"] == "/sign-in"
    assert (await enter(half_way, enrolled.app.code())).headers["location"] == "/sign-in"


async def test_the_second_step_leads_to_where_the_sign_in_began(enrolled: Enrolled) -> None:
    async with fresh(enrolled.client) as browser:
        path = "/dashboard/account?done=name-saved"
        answer = await browser.post("/sign-in", data={"email": EMAIL, "password": PASSWORD, "next": path})
        page = await browser.get(answer.headers["location"])
        action = re.search(r'action="([^"]+)"', page.text)
        assert action
        assert (await enter(browser, enrolled.app.wrong(), html.unescape(action[1]))).status_code == 401
        assert (await enter(browser, enrolled.app.code(), html.unescape(action[1]))).headers["location"] == path
        evil = await browser.get(f"{STEP}?next=//evil.example")
        assert evil.headers["location"] == "/dashboard"


async def test_many_sign_ins_at_once_leave_few_steps(enrolled: Enrolled, database: Database) -> None:
    for _ in range(13):
        await sign_in(fresh(enrolled.client))
    with database.read() as session:
        assert session.execute(sa.select(sa.func.count()).select_from(PendingSignIn)).scalar_one() == 10


async def test_a_hundred_wrong_codes_a_day_end_the_app_but_not_recovery_codes(
    enrolled: Enrolled, half_way: httpx.AsyncClient, database: Database
) -> None:
    """Also from many addresses: the limits of one address do not count these."""
    with database.write() as session:
        session.execute(sa.update(SecondFactor).values(failures=99, failures_since=now()))
    assert (await enter(half_way, enrolled.app.wrong())).status_code == 401
    refused = await enter(half_way, enrolled.app.code())
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 86_401
    assert (await enter(half_way, enrolled.recovery_codes[0])).status_code == 303


async def test_codes_are_limited_per_account_and_address(settings: Settings) -> None:
    limited = settings.model_copy(update={"rate_limit_enabled": True, "rate_limit_sign_in": "4/hour"})
    async with (
        running(create_app(limited, lambda _settings: WordEmbedder())) as app,
        browser_at(app, "203.0.113.1") as here,
        browser_at(app, "203.0.113.2") as there,
    ):
        await sign_up(here)
        enrolled = await set_up(here)
        await sign_in(there)
        tries = [(await enter(there, enrolled.app.wrong())).status_code for _ in range(4)]
        assert tries == [401] * 4
        assert (await enter(there, enrolled.app.code())).status_code == 429


async def test_a_reset_does_not_pass_by_the_second_factor(enrolled: Enrolled, database: Database) -> None:
    confirm(database)
    async with fresh(enrolled.client) as browser:
        answer = await browser.post(reset_link(database), data={"password": "another good one"})
        assert answer.headers["location"].startswith(STEP)
        assert not await is_signed_in(browser)
        assert (await enter(browser, enrolled.app.code())).status_code == 303
        assert await is_signed_in(browser)


async def test_a_reset_that_first_proves_the_mailbox_ends_a_second_factor_from_before(
    enrolled: Enrolled, database: Database
) -> None:
    """Somebody who signed up with another person's address cannot keep that person out."""
    async with fresh(enrolled.client) as owner:
        answer = await owner.post(reset_link(database), data={"password": "the owner's own"})
        assert answer.status_code == 200
        assert await is_signed_in(owner)
    with database.read() as session:
        assert [session.execute(sa.select(table)).first() for table in (SecondFactor, RecoveryCode)] == [None, None]


async def test_a_new_password_ends_half_sign_ins(enrolled: Enrolled, half_way: httpx.AsyncClient) -> None:
    fields = {"current": PASSWORD, "password": "another good one"}
    assert (await enrolled.client.post("/dashboard/account/password", data=fields)).status_code == 303
    assert (await enter(half_way, enrolled.app.code())).headers["location"] == "/sign-in"
