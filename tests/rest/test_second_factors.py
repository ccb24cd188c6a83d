"""On both databases: a code signs in once, even in simultaneous requests, and changes are reported by email."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import sqlalchemy as sa
from starlette.types import ASGIApp

from server.app import create_app
from server.models import User
from server.models.base import now
from server.settings import Settings
from server.storage.database import Database
from tests.support.browsers import PASSWORD, browser_at, fresh, sign_in, sign_up
from tests.support.fakes import WordEmbedder
from tests.support.mail import Mailbox, mail_server
from tests.support.started import running
from tests.support.two_factor import CODE, PAGE, STEP, Enrolled, enter, is_signed_in, set_up
from tests.support.visitors import seen

AT_ONCE = 6


@pytest.fixture
async def ann(client: httpx.AsyncClient) -> Enrolled:
    await sign_up(client)
    return await set_up(client)


@pytest.mark.parametrize("kind", ["app", "recovery"])
async def test_a_code_signs_in_once_even_at_the_same_moment(ann: Enrolled, kind: str) -> None:
    code = ann.app.code() if kind == "app" else ann.recovery_codes[0]
    browsers = [fresh(ann.client) for _ in range(AT_ONCE)]
    for browser in browsers:
        assert (await sign_in(browser)).headers["location"].startswith(STEP)
    statuses = [answer.status_code for answer in await asyncio.gather(*(enter(browser, code) for browser in browsers))]
    assert sorted(statuses) == [303] + [401] * (AT_ONCE - 1)
    assert sum([await is_signed_in(browser) for browser in browsers]) == 1


async def test_wrong_codes_at_the_same_moment_all_count(ann: Enrolled) -> None:
    async with fresh(ann.client) as browser:
        await sign_in(browser)
        await asyncio.gather(*(enter(browser, ann.app.wrong()) for _ in range(AT_ONCE)))
        assert (await enter(browser, ann.app.code())).headers["location"] == "/sign-in"


async def test_turning_off_and_signing_in_do_not_deadlock(ann: Enrolled) -> None:
    browsers = [fresh(ann.client) for _ in range(AT_ONCE)]
    for browser in browsers:
        await sign_in(browser)
    codes = iter(ann.recovery_codes)
    answers = await asyncio.gather(
        *(enter(browser, next(codes)) for browser in browsers),
        ann.client.post(f"{PAGE}/off", data={"proof_password": PASSWORD}),
    )
    assert {answer.status_code for answer in answers} <= {303, 401}
    assert answers[-1].status_code == 303


@pytest.fixture
def mailbox_and_url() -> Iterator[tuple[str, Mailbox]]:
    with mail_server() as running_server:
        yield running_server


@pytest.fixture
async def mailing(settings: Settings, mailbox_and_url: tuple[str, Mailbox]) -> AsyncIterator[ASGIApp]:
    url = type(settings.smtp_url)(mailbox_and_url[0])
    changed = settings.model_copy(update={"smtp_url": url})
    async with running(create_app(changed, lambda _settings: WordEmbedder())) as app:
        yield app


async def test_each_change_of_the_second_factor_is_reported_by_email(
    mailing: ASGIApp, mailbox_and_url: tuple[str, Mailbox], database: Database
) -> None:
    _, mailbox = mailbox_and_url
    async with browser_at(mailing) as browser, browser_at(mailing) as elsewhere:
        await sign_up(browser)
        with database.write() as session:
            session.execute(sa.update(User).values(email_verified_at=now()))
        await set_up(browser)
        codes = CODE.findall(seen(await browser.post(f"{PAGE}/codes", follow_redirects=True)))
        await sign_in(elsewhere)
        assert (await enter(elsewhere, codes[0])).status_code == 303
        await browser.post(f"{PAGE}/off", data={"proof_password": PASSWORD})
        await mailbox.wait_for(6)  # one tells of the new browser
    texts = [str(letter.get_content()) for letter in mailbox.letters if "Security notice" in letter["Subject"]]
    for happened in ("turned on", "New recovery codes", "recovery codes was used", "turned off"):
        assert sum(happened in text for text in texts) == 1, happened
    assert not any(CODE.search(text) or re.search(r"\b\d{6}\b", text) for text in texts)
