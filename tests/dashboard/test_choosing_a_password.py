"""Which passwords are accepted. A refused sign-up hashes nothing."""

import re

import httpx
import pytest
from argon2 import PasswordHasher

from server import hashing
from server.app import create_app
from server.settings import Settings
from tests.conftest import ORIGIN
from tests.support.browsers import PASSWORD, browser_at, fresh, sign_in, sign_up
from tests.support.fakes import WordEmbedder
from tests.support.started import running

COMMON = ("password", "12345678", "Password", "PASSWORD1", "iloveyou", "qwertyuiop", " sunshine1 ", "trustno1")
OWN = ("ann.smith@example.com", "Ann.Smith@Example.com ", "ann.smith", "Ann Smith", "annsmith")


@pytest.mark.parametrize("password", COMMON)
async def test_the_most_used_passwords_are_refused_for_the_first_account_too(
    client: httpx.AsyncClient, password: str
) -> None:
    answer = await sign_up(client, password=password)
    assert answer.status_code == 400
    assert re.search(r'id="password-error"[^>]*>[^<]*most common passwords', answer.text)
    assert (await client.get("/dashboard")).headers["location"] == "/setup"


@pytest.mark.parametrize("password", OWN)
async def test_your_own_address_or_name_is_no_password(client: httpx.AsyncClient, password: str) -> None:
    answer = await sign_up(client, "ann.smith@example.com", name="Ann Smith", password=password)
    assert answer.status_code == 400
    assert re.search(r'id="password-error"[^>]*>[^<]*your email address or name', answer.text)


@pytest.mark.parametrize("password", [" " * 8, "\u3000" * 12, "\t" * 9])
async def test_spaces_alone_are_no_password(client: httpx.AsyncClient, password: str) -> None:
    answer = await sign_up(client, password=password)
    assert answer.status_code == 400
    assert re.search(r'id="password-error"[^>]*>[^<]*a password needs more than spaces', answer.text, re.IGNORECASE)


async def test_a_change_of_password_follows_the_same_rules(client: httpx.AsyncClient) -> None:
    await sign_up(client)
    for password in ("football1", "ann@example.com"):
        form = {"current": PASSWORD, "password": password}
        assert (await client.post("/dashboard/account/password", data=form)).status_code == 400
    assert (await sign_in(fresh(client))).status_code == 303


class Counting:
    """Counts the passwords that are hashed or compared."""

    def __init__(self, hasher: PasswordHasher) -> None:
        self.hasher = hasher
        self.count = 0

    def hash(self, password: str) -> str:
        self.count += 1
        return self.hasher.hash(password)

    def verify(self, stored: str, password: str) -> bool:
        self.count += 1
        return self.hasher.verify(stored, password)


@pytest.fixture
def hasher(monkeypatch: pytest.MonkeyPatch) -> Counting:
    counting = Counting(hashing._passwords)
    monkeypatch.setattr(hashing, "_passwords", counting)
    return counting


async def test_refused_sign_ups_hash_nothing(settings: Settings, hasher: Counting) -> None:
    closed = settings.model_copy(update={"sign_up": "closed"})
    async with running(create_app(closed, lambda _settings: WordEmbedder())) as app:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as guest:
            assert (await sign_up(guest)).status_code == 403
            assert hasher.count == 0
            assert (await sign_in(guest)).status_code == 401
            assert hasher.count == 1


async def test_a_taken_address_hashes_nothing(client: httpx.AsyncClient, hasher: Counting) -> None:
    await sign_up(client)
    before = hasher.count
    assert (await sign_up(fresh(client))).status_code == 409
    assert hasher.count == before


async def test_r08_sign_ups_of_a_whole_ipv6_site_are_limited_more_loosely(settings: Settings) -> None:
    limited = settings.model_copy(update={"rate_limit_enabled": True, "rate_limit_sign_up": "1/hour"})
    async with running(create_app(limited, lambda _settings: WordEmbedder())) as app:
        statuses = []
        for number in range(12):
            async with browser_at(app, f"2001:db8:1:{number:x}::1") as browser:
                statuses.append((await sign_up(browser, f"a{number}@example.com")).status_code)
        assert statuses == [303] * 10 + [429] * 2
        async with browser_at(app, "2001:db8:2::1") as elsewhere:
            assert (await sign_up(elsewhere, "b@example.com")).status_code == 303


def test_an_address_may_create_twenty_accounts_an_hour() -> None:
    assert Settings.model_fields["rate_limit_sign_up"].default == "20/hour"


async def test_mistyped_sign_ups_do_not_count(settings: Settings) -> None:
    limited = settings.model_copy(update={"rate_limit_enabled": True, "rate_limit_sign_up": "1/hour"})
    mistakes = ({"password": "short"}, {"password": "password1"}, {"email": "ann"}, {"name": "x" * 101})
    async with running(create_app(limited, lambda _settings: WordEmbedder())) as app:
        browser = browser_at(app, "203.0.113.1")
        assert [(await sign_up(browser, **mistake)).status_code for mistake in mistakes] == [400] * 4
        assert (await sign_up(browser)).status_code == 303
