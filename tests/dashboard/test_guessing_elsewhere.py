"""Guesses that no sign-in form sees: passkeys, the provider's answers, codes, and confirmations of an address."""

from collections import Counter
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr
from starlette.types import ASGIApp

from server.app import create_app
from server.settings import Settings
from tests.support.browsers import PASSWORD, browser_at, sign_in, sign_up
from tests.support.fakes import WordEmbedder
from tests.support.mail import Mailbox, link_in
from tests.support.mailing import mailbox
from tests.support.started import running
from tests.support.two_factor import enter, set_up

__all__ = ["mailbox"]

TOO_MANY = 429
CALLBACK = "/sign-in/provider/callback?state=x&code=y"
PROVIDER = {
    "oidc_issuer": "http://127.0.0.1:9",
    "oidc_client_id": "selfmemory",
    "oidc_client_secret": SecretStr("a secret of the tests"),
}


@pytest.fixture
async def app(settings: Settings, mailbox: tuple[str, Mailbox]) -> AsyncIterator[ASGIApp]:
    limits = {"rate_limit_enabled": True, "rate_limit_sign_in": "3/hour"}
    changed = settings.model_copy(update=PROVIDER | limits | {"smtp_url": SecretStr(mailbox[0])})
    async with running(create_app(changed, lambda _settings: WordEmbedder())) as app:
        yield app


async def test_forged_passkeys_and_answers_of_the_provider_are_limited_for_an_address(app: ASGIApp) -> None:
    async with browser_at(app, "203.0.113.1") as stranger, browser_at(app, "203.0.113.2") as other:
        statuses = [(await stranger.post("/sign-in/passkey", data={"credential": "{}"})).status_code for _ in range(15)]
        statuses += [(await stranger.get(CALLBACK)).status_code for _ in range(16)]
        assert Counter(statuses) == {401: 30, TOO_MANY: 1}
        assert (await other.post("/sign-in/passkey", data={"credential": "{}"})).status_code == 401


async def test_passwords_that_confirm_an_address_are_limited(app: ASGIApp, mailbox: tuple[str, Mailbox]) -> None:
    async with browser_at(app, "198.51.100.1") as own, browser_at(app, "203.0.113.1") as stranger:
        await sign_up(own)
        await mailbox[1].wait_for(1)
        path = link_in(mailbox[1].letters[0])
        tries = [(await stranger.post(path, data={"password": "not this one"})).status_code for _ in range(4)]
        assert tries == [400, 400, 400, TOO_MANY]
        assert (await sign_in(stranger)).status_code == TOO_MANY
        assert (await own.post(path, data={"password": PASSWORD})).status_code == 200


async def test_right_codes_do_not_count(app: ASGIApp) -> None:
    async with browser_at(app, "198.51.100.1") as own:
        await sign_up(own)
        enrolled = await set_up(own)
    statuses = []
    for code in enrolled.recovery_codes[:5]:
        async with browser_at(app, "203.0.113.1") as browser:
            await sign_in(browser)
            statuses.append((await enter(browser, code)).status_code)
    assert statuses == [303] * 5
