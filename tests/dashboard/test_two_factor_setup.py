"""Turning two-factor authentication on and off, recovery codes, and what is stored."""

import asyncio
import re

import httpx
import pytest
import sqlalchemy as sa
from starlette.types import ASGIApp

from server.__main__ import main
from server.app import create_app
from server.models import PendingSignIn, RecoveryCode, SecondFactor
from server.settings import Settings
from server.storage.database import Database
from tests.support.browsers import PASSWORD, browser_at, fresh, sign_in, sign_up
from tests.support.fakes import WordEmbedder
from tests.support.started import running
from tests.support.two_factor import CODE, EMAIL, PAGE, STEP, Enrolled, enter, is_signed_in, set_up
from tests.support.visitors import Visitor, hidden, seen


async def test_secrets_and_codes_are_not_readable_in_the_database(enrolled: Enrolled, database: Database) -> None:
    with database.read() as session:
        factor = session.execute(sa.select(SecondFactor)).scalar_one()
        hashes = session.execute(sa.select(RecoveryCode.code_hash)).scalars().all()  # type: ignore[call-overload]  # SQLModel's types
    assert enrolled.app.otp.secret.encode() not in factor.sealed_secret
    assert len(hashes) == 10
    assert all(len(code_hash) == 64 for code_hash in hashes)


async def test_new_recovery_codes_replace_the_earlier_ones(enrolled: Enrolled, half_way: httpx.AsyncClient) -> None:
    codes = CODE.findall(seen(await enrolled.client.post(f"{PAGE}/codes", follow_redirects=True)))
    assert len(codes) == 10
    assert CODE.findall(seen(await enrolled.client.get(PAGE))) == []
    assert (await enter(half_way, enrolled.recovery_codes[0])).status_code == 401
    assert (await enter(half_way, codes[0])).status_code == 303


async def test_turning_it_off_always_asks_for_the_password_or_a_code(enrolled: Enrolled) -> None:
    asked = await enrolled.client.post(f"{PAGE}/off")
    assert asked.status_code == 403
    assert "Confirm that it’s you" in seen(asked)
    wrong = await enrolled.client.post(f"{PAGE}/off", data={"proof_code": enrolled.app.wrong()})
    assert wrong.status_code == 400
    assert (await sign_in(fresh(enrolled.client))).headers["location"].startswith(STEP)
    off = await enrolled.client.post(f"{PAGE}/off", data={"proof_password": PASSWORD})
    assert off.headers["location"] == f"{PAGE}?done=two-factor-off"
    assert (await sign_in(fresh(enrolled.client))).headers["location"] == "/dashboard"


async def test_turning_it_on_ends_the_sessions_that_a_password_alone_began(client: httpx.AsyncClient) -> None:
    await sign_up(client)
    elsewhere = fresh(client)
    await sign_in(elsewhere)
    enrolled = await set_up(client)
    assert await is_signed_in(enrolled.client)
    assert not await is_signed_in(elsewhere)


async def test_it_is_on_only_after_a_right_code(client: httpx.AsyncClient) -> None:
    await sign_up(client)
    page = await client.post(PAGE)
    sealed = hidden(page, "sealed")
    refused = await client.post(f"{PAGE}/on", data={"sealed": sealed, "code": "000 000"})
    assert refused.status_code == 400
    assert re.findall(r'id="key" value="(\w+)"', refused.text) == re.findall(r'id="key" value="(\w+)"', page.text)
    assert (await sign_in(fresh(client))).headers["location"] == "/dashboard"


async def test_a_setup_is_for_one_account_alone(client: httpx.AsyncClient, enrolled: Enrolled, ben: Visitor) -> None:
    page = await ben.post(PAGE)
    refused = await enrolled.client.post(f"{PAGE}/on", data={"sealed": "no seal", "code": "000000"})
    assert refused.status_code == 409
    await enrolled.client.post(f"{PAGE}/off", data={"proof_password": PASSWORD})
    for sealed in (hidden(page, "sealed"), "no seal", "ü"):
        foreign = await enrolled.client.post(f"{PAGE}/on", data={"sealed": sealed, "code": "000000"})
        assert foreign.status_code == 410


async def test_the_qr_code_is_drawn_in_the_page(client: httpx.AsyncClient) -> None:
    await sign_up(client)
    page = await client.post(PAGE)
    assert '<svg viewBox="0 0' in page.text
    assert "style=" not in page.text


async def test_a_deleted_account_leaves_no_second_factor(enrolled: Enrolled, database: Database) -> None:
    await sign_in(fresh(enrolled.client))
    answer = await enrolled.client.post("/dashboard/account/delete", data={"confirm": EMAIL})
    assert "Your account is deleted" in (await enrolled.client.get(answer.headers["location"])).text
    with database.read() as session:
        left = [session.execute(sa.select(table)).first() for table in (SecondFactor, RecoveryCode, PendingSignIn)]
    assert left == [None, None, None]


async def test_another_secret_key_leaves_recovery_codes(enrolled: Enrolled, settings: Settings, app: ASGIApp) -> None:
    changed = settings.model_copy(update={"secret_key": type(settings.secret_key)("x" * 40)})
    async with (
        running(create_app(changed, lambda _settings: WordEmbedder())) as restarted,
        browser_at(restarted) as browser,
    ):
        await sign_in(browser)
        refused = await enter(browser, enrolled.app.code())
        assert refused.status_code == 401
        assert "secret key has changed. Use a recovery code" in refused.text
        assert (await enter(browser, enrolled.recovery_codes[0])).status_code == 303
        page = await browser.post("/dashboard/account/two-factor/off", data={"proof_code": enrolled.app.code()})
        assert "secret key has changed. Use a recovery code" in page.text


async def test_an_operator_can_remove_a_second_factor(
    enrolled: Enrolled,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    own_logging: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SELFMEMORY_DATA_DIR", str(settings.data_dir))
    arguments = ["reset-password", "--email", EMAIL]
    assert await asyncio.to_thread(main, arguments) == 0
    assert (await sign_in(fresh(enrolled.client))).headers["location"].startswith(STEP)
    assert "authenticator" not in capsys.readouterr().err
    assert await asyncio.to_thread(main, [*arguments, "--remove-second-factor"]) == 0
    assert "the current password alone signs in." in capsys.readouterr().err
    assert (await sign_in(fresh(enrolled.client))).headers["location"] == "/dashboard"
