"""On both databases: a passkey's answer works once, and an identity has one account, even in simultaneous requests."""

import asyncio

import httpx
import sqlalchemy as sa
from pydantic import SecretStr

from server.app import create_app
from server.settings import Settings
from server.storage.database import Database
from tests.dashboard.test_passkeys import PASSKEYS, add, new_passkey
from tests.support.browsers import browser_at, fresh, sign_up
from tests.support.fakes import WordEmbedder
from tests.support.mail import mail_server
from tests.support.passkeys import options_of
from tests.support.provider import CALLBACK, Provider, counts, go, provider, settings, whoami
from tests.support.started import running
from tests.support.two_factor import confirm

__all__ = ["provider", "settings"]
AT_ONCE = 4


async def test_an_answer_of_a_passkey_counts_once_at_the_same_moment(
    client: httpx.AsyncClient, database: Database
) -> None:
    await sign_up(client)
    passkey = new_passkey()
    await add(client, passkey)
    browser = fresh(client)
    credential = passkey.used(options_of(await browser.get("/sign-in")))
    browsers = [fresh(client) for _ in range(AT_ONCE)]
    for one in browsers:
        one.cookies.update(browser.cookies)
    answers = await asyncio.gather(*(one.post("/sign-in/passkey", data={"credential": credential}) for one in browsers))
    assert sorted(answer.status_code for answer in answers) == [303] + [401] * (AT_ONCE - 1)
    assert counts(database)["used_challenges"] == 2  # one added the passkey


async def test_an_identity_gets_one_account_at_the_same_moment(
    client: httpx.AsyncClient, provider: Provider, database: Database
) -> None:
    browsers = [fresh(client) for _ in range(AT_ONCE)]
    theres = [await browser.post("/sign-in/provider") for browser in browsers]
    queries = [provider.authorize(there.headers["location"]) for there in theres]
    answers = await asyncio.gather(
        *(browser.get(f"{CALLBACK}?{query}") for browser, query in zip(browsers, queries, strict=True))
    )
    assert {answer.status_code for answer in answers} <= {303, 409}
    assert (counts(database)["users"], counts(database)["identities"]) == (1, 1)
    assert (await go(client, provider)).status_code == 303
    assert (await whoami(client))["email"] == "ann@example.com"


async def test_new_ways_to_sign_in_are_reported_by_email(
    settings: Settings, provider: Provider, database: Database
) -> None:
    with mail_server() as (url, mailbox):
        changed = settings.model_copy(update={"smtp_url": SecretStr(url)})
        async with running(create_app(changed, lambda _settings: WordEmbedder())) as app, browser_at(app) as browser:
            await sign_up(browser)
            confirm(database)
            await add(browser, new_passkey())
            await go(browser, provider)
            with database.read() as session:
                passkey_id = session.execute(sa.text("SELECT id FROM passkeys")).scalar_one()
            await browser.post(f"{PASSKEYS}/{passkey_id}/delete")
            await mailbox.wait_for(4)
    texts = [str(letter.get_content()) for letter in mailbox.letters if "Security notice" in letter["Subject"]]
    for happened in ("A passkey was added.", "sign-in provider can now sign you in", "A passkey was deleted."):
        assert sum(happened in text for text in texts) == 1, happened
