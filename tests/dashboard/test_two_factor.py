"""Two-factor authentication: setting it up, signing in with it, and what it withstands."""

import html
import re
from collections.abc import AsyncIterator

import httpx
import pytest
import sqlalchemy as sa
from starlette.types import ASGIApp

from server.app import create_app
from server.database import Database
from server.domain.people import passwords
from server.models import PendingSignIn, RecoveryCode, SecondFactor, User
from server.models.base import now
from server.settings import Settings
from tests.support.authenticator import Authenticator
from tests.support.browsers import COOKIE, PASSWORD, browser_at, fresh, sign_in, sign_up
from tests.support.fakes import WordEmbedder
from tests.support.started import running
from tests.support.visitors import Visitor, hidden, seen

PAGE = "/dashboard/account/two-factor"
STEP = "/sign-in/verify"
EMAIL = "ann@example.com"
CODE = re.compile(r"\b[0-9a-z]{4}(?:-[0-9a-z]{4}){3}\b")


class Enrolled:
    """Ann's browser after she set up the app, and what she keeps."""

    def __init__(self, client: httpx.AsyncClient, app: Authenticator, recovery_codes: list[str]) -> None:
        self.client, self.app, self.recovery_codes = client, app, recovery_codes


async def set_up(client: httpx.AsyncClient) -> Enrolled:
    """Turn the second factor on for the account that is signed in."""
    page = await client.post(PAGE)
    key = re.search(r'id="key" value="(\w+)"', page.text)
    assert key, seen(page)
    app = Authenticator(key[1])
    done = await client.post(f"{PAGE}/on", data={"sealed": hidden(page, "sealed"), "code": app.code()})
    codes = CODE.findall(seen(done))
    assert len(set(codes)) == 10, seen(done)
    return Enrolled(client, app, codes)


@pytest.fixture
async def ann(client: httpx.AsyncClient) -> Enrolled:
    await sign_up(client)
    return await set_up(client)


@pytest.fixture
async def stranger(ann: Enrolled) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that has proved Ann's password and nothing else."""
    async with fresh(ann.client) as browser:
        answer = await sign_in(browser)
        assert answer.headers["location"] == f"{STEP}?next=/dashboard"
        yield browser


async def enter(browser: httpx.AsyncClient, code: str, path: str = STEP) -> httpx.Response:
    return await browser.post(path, data={"code": code})


async def is_signed_in(browser: httpx.AsyncClient) -> bool:
    return (await browser.get("/api/users/me")).status_code == 200


async def test_after_the_password_a_code_is_asked_for(ann: Enrolled, stranger: httpx.AsyncClient) -> None:
    assert COOKIE not in stranger.cookies
    assert not await is_signed_in(stranger)
    assert (await stranger.get("/dashboard")).headers["location"].startswith("/sign-in")
    assert "Enter a code" in seen(await stranger.get(STEP))
    answer = await enter(stranger, ann.app.code())
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard")
    assert await is_signed_in(stranger)


async def test_half_a_sign_in_is_no_session(ann: Enrolled, stranger: httpx.AsyncClient) -> None:
    value = stranger.cookies["sign_in_step"]
    for headers in ({"Authorization": f"Session {value}"}, {"Cookie": f"{COOKIE}={value}"}):
        assert (await fresh(stranger).get("/api/users/me", headers=headers)).status_code == 401


async def test_a_wrong_code_does_not_sign_in(ann: Enrolled, stranger: httpx.AsyncClient) -> None:
    answer = await enter(stranger, ann.app.wrong())
    assert answer.status_code == 401
    assert "not right" in seen(answer)
    assert not await is_signed_in(stranger)
    assert (await enter(stranger, ann.app.code())).status_code == 303


async def test_after_five_wrong_codes_the_password_is_asked_for_again(
    ann: Enrolled, stranger: httpx.AsyncClient
) -> None:
    for _ in range(5):
        assert (await enter(stranger, ann.app.wrong())).status_code == 401
    answer = await enter(stranger, ann.app.code())
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/dashboard")
    assert not await is_signed_in(stranger)


async def test_a_code_works_once(ann: Enrolled, stranger: httpx.AsyncClient) -> None:
    code = ann.app.code()
    assert (await enter(stranger, code)).status_code == 303
    async with fresh(stranger) as second:
        await sign_in(second)
        assert (await enter(second, code)).status_code == 401
        assert not await is_signed_in(second)


async def test_a_recovery_code_works_once_and_however_it_is_typed(ann: Enrolled, stranger: httpx.AsyncClient) -> None:
    code = ann.recovery_codes[0]
    assert (await enter(stranger, f" {code.upper().replace('-', ' ')} ")).status_code == 303
    assert "9 recovery codes left" in seen(await stranger.get("/dashboard/account"))
    async with fresh(stranger) as second:
        await sign_in(second)
        assert (await enter(second, code)).status_code == 401
        assert (await enter(second, ann.recovery_codes[1])).status_code == 303


async def test_the_second_step_is_bound_to_the_browser(ann: Enrolled, stranger: httpx.AsyncClient) -> None:
    async with fresh(stranger) as other:
        answer = await enter(other, ann.app.code())
        assert answer.headers["location"].startswith("/sign-in?")
        assert not await is_signed_in(other)
    cookie = (await sign_in(fresh(stranger))).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax", "Path=/sign-in", "Max-Age=600"} <= set(cookie.split("; "))


async def test_the_second_step_ends_after_ten_minutes(
    ann: Enrolled, stranger: httpx.AsyncClient, database: Database
) -> None:
    with database.write() as session:
        session.execute(sa.update(PendingSignIn).values(expires_at=now()))
    assert (await stranger.get(STEP)).headers["location"] == "/sign-in?next=/dashboard"
    assert (await enter(stranger, ann.app.code())).headers["location"] == "/sign-in?next=/dashboard"


async def test_the_second_step_leads_to_where_the_sign_in_began(ann: Enrolled) -> None:
    async with fresh(ann.client) as browser:
        path = "/dashboard/account?done=name-saved"
        answer = await browser.post("/sign-in", data={"email": EMAIL, "password": PASSWORD, "next": path})
        page = await browser.get(answer.headers["location"])
        action = re.search(r'action="([^"]+)"', page.text)
        assert action
        assert (await enter(browser, ann.app.wrong(), html.unescape(action[1]))).status_code == 401
        assert (await enter(browser, ann.app.code(), html.unescape(action[1]))).headers["location"] == path
        evil = await browser.get(f"{STEP}?next=//evil.example")
        assert evil.headers["location"] == "/dashboard"


async def test_many_sign_ins_at_once_leave_few_steps(ann: Enrolled, database: Database) -> None:
    for _ in range(13):
        await sign_in(fresh(ann.client))
    with database.read() as session:
        assert session.execute(sa.select(sa.func.count()).select_from(PendingSignIn)).scalar_one() == 10


async def test_a_hundred_wrong_codes_a_day_end_the_app_but_not_recovery_codes(
    ann: Enrolled, stranger: httpx.AsyncClient, database: Database
) -> None:
    """Also from many addresses: the limits of one address do not count these."""
    with database.write() as session:
        session.execute(sa.update(SecondFactor).values(failures=99, failures_since=now()))
    assert (await enter(stranger, ann.app.wrong())).status_code == 401
    refused = await enter(stranger, ann.app.code())
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 86_401
    assert (await enter(stranger, ann.recovery_codes[0])).status_code == 303


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


async def test_a_reset_does_not_pass_by_the_second_factor(ann: Enrolled, database: Database) -> None:
    confirm(database)
    async with fresh(ann.client) as browser:
        answer = await browser.post(reset_link(database), data={"password": "another good one"})
        assert answer.headers["location"].startswith(STEP)
        assert not await is_signed_in(browser)
        assert (await enter(browser, ann.app.code())).status_code == 303
        assert await is_signed_in(browser)


async def test_a_reset_that_first_proves_the_mailbox_ends_a_second_factor_from_before(
    ann: Enrolled, database: Database
) -> None:
    """Somebody who signed up with another person's address cannot keep that person out."""
    async with fresh(ann.client) as owner:
        answer = await owner.post(reset_link(database), data={"password": "the owner's own"})
        assert answer.headers["location"] == "/dashboard"
        assert await is_signed_in(owner)
    with database.read() as session:
        assert [session.execute(sa.select(table)).first() for table in (SecondFactor, RecoveryCode)] == [None, None]


async def test_a_new_password_ends_half_sign_ins(ann: Enrolled, stranger: httpx.AsyncClient) -> None:
    fields = {"current": PASSWORD, "password": "another good one"}
    assert (await ann.client.post("/dashboard/account/password", data=fields)).status_code == 303
    assert (await enter(stranger, ann.app.code())).headers["location"].startswith("/sign-in?")


async def test_secrets_and_codes_are_not_readable_in_the_database(ann: Enrolled, database: Database) -> None:
    with database.read() as session:
        factor = session.execute(sa.select(SecondFactor)).scalar_one()
        hashes = session.execute(sa.select(RecoveryCode.code_hash)).scalars().all()  # type: ignore[call-overload]  # SQLModel's types
    assert ann.app.otp.secret.encode() not in factor.sealed_secret
    assert len(hashes) == 10
    assert all(len(code_hash) == 64 for code_hash in hashes)


async def test_new_recovery_codes_replace_the_earlier_ones(ann: Enrolled, stranger: httpx.AsyncClient) -> None:
    codes = CODE.findall(seen(await ann.client.post(f"{PAGE}/codes")))
    assert len(codes) == 10
    assert CODE.findall(seen(await ann.client.get(PAGE))) == []
    assert (await enter(stranger, ann.recovery_codes[0])).status_code == 401
    assert (await enter(stranger, codes[0])).status_code == 303


async def test_turning_it_off_always_asks_for_the_password_or_a_code(ann: Enrolled) -> None:
    asked = await ann.client.post(f"{PAGE}/off")
    assert asked.status_code == 403
    assert "Confirm that it’s you" in seen(asked)
    wrong = await ann.client.post(f"{PAGE}/off", data={"proof_code": ann.app.wrong()})
    assert wrong.status_code == 400
    assert (await sign_in(fresh(ann.client))).headers["location"].startswith(STEP)
    off = await ann.client.post(f"{PAGE}/off", data={"proof_password": PASSWORD})
    assert off.headers["location"] == f"{PAGE}?done=two-factor-off"
    assert (await sign_in(fresh(ann.client))).headers["location"] == "/dashboard"


async def test_it_is_on_only_after_a_right_code(client: httpx.AsyncClient) -> None:
    await sign_up(client)
    page = await client.post(PAGE)
    sealed = hidden(page, "sealed")
    refused = await client.post(f"{PAGE}/on", data={"sealed": sealed, "code": "000 000"})
    assert refused.status_code == 400
    assert re.findall(r'id="key" value="(\w+)"', refused.text) == re.findall(r'id="key" value="(\w+)"', page.text)
    assert (await sign_in(fresh(client))).headers["location"] == "/dashboard"


async def test_a_setup_is_for_the_account_that_began_it(client: httpx.AsyncClient, ann: Enrolled, ben: Visitor) -> None:
    page = await ben.post(PAGE)
    refused = await ann.client.post(f"{PAGE}/on", data={"sealed": "no seal", "code": "000000"})
    assert refused.status_code == 409
    await ann.client.post(f"{PAGE}/off", data={"proof_password": PASSWORD})
    for sealed in (hidden(page, "sealed"), "no seal", "ü"):
        foreign = await ann.client.post(f"{PAGE}/on", data={"sealed": sealed, "code": "000000"})
        assert foreign.status_code == 410


async def test_the_qr_code_is_drawn_in_the_page(client: httpx.AsyncClient) -> None:
    await sign_up(client)
    page = await client.post(PAGE)
    assert '<svg viewBox="0 0' in page.text
    assert "style=" not in page.text


async def test_a_deleted_account_leaves_no_second_factor(ann: Enrolled, database: Database) -> None:
    await sign_in(fresh(ann.client))
    answer = await ann.client.post("/dashboard/account/delete", data={"confirm": EMAIL})
    assert answer.headers["location"] == "/sign-up"
    with database.read() as session:
        left = [session.execute(sa.select(table)).first() for table in (SecondFactor, RecoveryCode, PendingSignIn)]
    assert left == [None, None, None]


async def test_another_secret_key_leaves_recovery_codes(ann: Enrolled, settings: Settings, app: ASGIApp) -> None:
    changed = settings.model_copy(update={"secret_key": type(settings.secret_key)("x" * 40)})
    async with (
        running(create_app(changed, lambda _settings: WordEmbedder())) as restarted,
        browser_at(restarted) as browser,
    ):
        await sign_in(browser)
        assert (await enter(browser, ann.app.code())).status_code == 401
        assert (await enter(browser, ann.recovery_codes[0])).status_code == 303


def reset_link(database: Database) -> str:
    with database.write() as session:
        _, token = passwords.issue_reset(session, EMAIL)
    return f"/reset-password/{token}"


def confirm(database: Database) -> None:
    """Confirm the address, as a mailed link does."""
    with database.write() as session:
        session.execute(sa.update(User).values(email_verified_at=now()))
