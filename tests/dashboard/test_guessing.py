"""Guessing passwords: failures count, successes do not, and no stranger can lock an account."""

import asyncio
import base64
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from starlette.types import ASGIApp

from server.domain.people.known_browsers import cookie_name
from server.settings import Settings
from tests.support.browsers import PASSWORD, browser_at, sign_in, sign_up

ANN = "ann@example.com"
WRONG = "not the password"
TOO_MANY = 429


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"rate_limit_enabled": True, "rate_limit_sign_in": "3/hour"})


@pytest.fixture
def addresses() -> Iterator[str]:
    return (f"203.0.113.{number}" for number in range(1, 255))


async def guess(app: ASGIApp, address: str, times: int, email: str = ANN) -> list[int]:
    """Return the statuses of wrong passwords that a stranger at `address` tries one after the other."""
    async with browser_at(app, address) as stranger:
        return [(await sign_in(stranger, email, WRONG)).status_code for _ in range(times)]


async def test_r08_failures_count_per_account_and_address_together(app: ASGIApp) -> None:
    await sign_up(browser_at(app, "198.51.100.1"))
    assert await guess(app, "203.0.113.1", 4) == [401, 401, 401, TOO_MANY]
    async with browser_at(app, "203.0.113.1") as same:
        refused = await sign_in(same)
        assert refused.status_code == TOO_MANY
        assert int(refused.headers["retry-after"]) > 0
        assert (await sign_in(same, "b@example.com", WRONG)).status_code == 401


async def test_r08_successes_do_not_count(app: ASGIApp) -> None:
    await sign_up(browser_at(app, "198.51.100.1"))
    statuses = []
    for _ in range(6):
        async with browser_at(app, "203.0.113.1") as browser:
            statuses.append((await sign_in(browser)).status_code)
    assert statuses == [303] * 6
    assert await guess(app, "203.0.113.1", 4) == [401, 401, 401, TOO_MANY]


async def test_a_stranger_locks_nobody_out_of_signing_in(app: ASGIApp) -> None:
    await sign_up(browser_at(app, "198.51.100.1"))
    await guess(app, "203.0.113.1", 10)
    async with browser_at(app, "203.0.113.2") as elsewhere:
        assert (await sign_in(elsewhere)).status_code == 303


async def test_guesses_from_many_addresses_are_slowed_and_a_known_browser_still_signs_in(
    app: ASGIApp, addresses: Iterator[str]
) -> None:
    known = browser_at(app, "198.51.100.1")
    await sign_up(known)
    await known.post("/sign-out")
    for _ in range(10):
        assert await guess(app, next(addresses), 3) == [401] * 3
    async with browser_at(app, next(addresses)) as unknown:
        assert (await sign_in(unknown)).status_code == TOO_MANY
    assert (await sign_in(known)).status_code == 303


async def test_a_known_browser_passes_what_a_neighbor_at_the_same_address_did(app: ASGIApp) -> None:
    known = browser_at(app, "203.0.113.1")
    await sign_up(known)
    await known.post("/sign-out")
    assert (await guess(app, "203.0.113.1", 4))[-1] == TOO_MANY
    assert (await sign_in(known)).status_code == 303


async def test_a_known_browser_cannot_guess_without_limit(app: ASGIApp) -> None:
    known = browser_at(app, "203.0.113.1")
    await sign_up(known)
    await known.post("/sign-out")
    statuses = [(await sign_in(known, password=WRONG)).status_code for _ in range(4)]
    assert statuses == [401, 401, 401, TOO_MANY]


async def test_a_browser_is_known_for_its_own_account_alone(app: ASGIApp, addresses: Iterator[str]) -> None:
    await sign_up(browser_at(app, "198.51.100.1"))
    attacker = browser_at(app, "198.51.100.2")
    await sign_up(attacker, "eve@example.com")
    await attacker.post("/sign-out")
    for _ in range(10):
        await guess(app, next(addresses), 3)
    own = attacker.cookies[cookie_name("eve@example.com")]
    for value in (own, "forged"):
        attacker.cookies.set(cookie_name(ANN), value)
        assert (await sign_in(attacker)).status_code == TOO_MANY


async def test_the_cookie_of_a_known_browser_is_hidden_long_lived_and_tells_no_address(app: ASGIApp) -> None:
    answer = await sign_up(browser_at(app, "198.51.100.1"), "bartholomew@example.com")
    [cookie] = [one for one in answer.headers.get_list("set-cookie") if one.startswith("known_")]
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=31536000"} <= {part.strip() for part in cookie.split(";")}
    name, _, value = cookie.partition(";")[0].partition("=")
    for text in (name.encode(), value.encode(), base64.urlsafe_b64decode(value.strip('"'))):
        assert b"bartholomew" not in text.lower()


async def test_with_a_new_password_other_browsers_are_unknown(app: ASGIApp, addresses: Iterator[str]) -> None:
    old, own = browser_at(app, "198.51.100.1"), browser_at(app, "198.51.100.2")
    await sign_up(old)
    await sign_in(own)
    new = "another good one"
    await own.post("/dashboard/account/password", data={"current": PASSWORD, "password": new})
    for _ in range(10):
        await guess(app, next(addresses), 3)
    assert (await sign_in(old, password=new)).status_code == TOO_MANY
    assert (await sign_in(own, password=new)).status_code == 303


async def test_an_address_that_tries_many_accounts_is_slowed(app: ASGIApp) -> None:
    async with browser_at(app, "203.0.113.1") as stranger:
        statuses = [(await sign_in(stranger, f"a{number}@example.com", WRONG)).status_code for number in range(31)]
    assert Counter(statuses) == {401: 30, TOO_MANY: 1}


async def test_guesses_at_the_same_moment_count_like_guesses_in_a_row(app: ASGIApp) -> None:
    await sign_up(browser_at(app, "198.51.100.1"))
    async with browser_at(app, "203.0.113.1") as stranger:
        answers = await asyncio.gather(*(sign_in(stranger, password=WRONG) for _ in range(12)))
    assert Counter(answer.status_code for answer in answers)[401] <= 3


class Later:
    """The module `time`, some seconds later."""

    seconds = 0

    def time(self) -> float:
        return time.time() + self.seconds

    def monotonic(self) -> float:
        return time.monotonic() + self.seconds


async def test_a_day_of_guesses_has_a_limit_too(app: ASGIApp, monkeypatch: pytest.MonkeyPatch) -> None:
    later = Later()
    monkeypatch.setattr("server.adapters.limit_storage.time", later)
    statuses: list[int] = []
    async with browser_at(app, "203.0.113.1") as stranger:
        for _ in range(11):
            later.seconds += 3601
            statuses += [(await sign_in(stranger, password=WRONG)).status_code for _ in range(3)]
    assert Counter(statuses) == {401: 30, TOO_MANY: 3}


async def test_wrong_current_passwords_count_and_right_ones_do_not(app: ASGIApp) -> None:
    async with browser_at(app, "203.0.113.1") as own:
        await sign_up(own)
        current, statuses = PASSWORD, []
        for number in range(5):
            new = f"another good one {number}"
            form = {"current": current, "password": new}
            statuses.append((await own.post("/dashboard/account/password", data=form)).status_code)
            current = new
        assert statuses == [303] * 5
        form = {"current": WRONG, "password": "another good one"}
        refused = [(await own.post("/dashboard/account/password", data=form)).status_code for _ in range(4)]
        assert refused == [400, 400, 400, TOO_MANY]


async def test_strangers_lock_nobody_out_of_the_form_for_a_reset_link(app: ASGIApp, addresses: Iterator[str]) -> None:
    await sign_up(browser_at(app, "198.51.100.1"))
    for _ in range(5):
        async with browser_at(app, next(addresses)) as stranger:
            answers = [await stranger.post("/forgot-password", data={"email": ANN}) for _ in range(4)]
            assert {answer.status_code for answer in answers} == {200}
    async with browser_at(app, next(addresses)) as own:
        assert (await own.post("/forgot-password", data={"email": ANN})).status_code == 200


async def test_one_address_cannot_send_the_form_for_a_reset_link_without_limit(app: ASGIApp) -> None:
    async with browser_at(app, "203.0.113.1") as stranger:
        forms = [{"email": f"a{number}@example.com"} for number in range(31)]
        answers = [await stranger.post("/forgot-password", data=form) for form in forms]
    assert Counter(answer.status_code for answer in answers) == {200: 30, TOO_MANY: 1}
