"""The app with a mail server: tests can read its letters and open the links in them."""

from collections.abc import Iterator

import httpx
import pytest

from server.settings import Settings
from tests.support.browsers import sign_up
from tests.support.mail import Mailbox, link_in, mail_server


@pytest.fixture
def mailbox() -> Iterator[tuple[str, Mailbox]]:
    with mail_server() as server:
        yield server


@pytest.fixture
def settings(settings: Settings, mailbox: tuple[str, Mailbox]) -> Settings:
    return settings.model_copy(update={"smtp_url": type(settings.smtp_url)(mailbox[0])})


@pytest.fixture
def letters(mailbox: tuple[str, Mailbox]) -> Mailbox:
    return mailbox[1]


async def mailed_link(letters: Mailbox, to: str, path: str) -> str:
    """Wait for the newest letter to this address whose link begins with `path`, and return the link."""
    for count in range(1, 100):
        await letters.wait_for(count)
        links = [link_in(letter) for letter in letters.letters if letter["to"] == to]
        if links and links[-1].startswith(path):
            return links[-1]
    raise AssertionError("no such letter")


async def sign_up_confirmed(client: httpx.AsyncClient, letters: Mailbox, email: str) -> None:
    """Create an account and open the link that confirms its address."""
    assert (await sign_up(client, email)).status_code == 303
    assert (await client.get(await mailed_link(letters, email, "/verify-email/"))).status_code == 200


async def organization_of(client: httpx.AsyncClient, name: str = "Lab") -> str:
    return str((await client.post("/api/organizations", json={"name": name})).json()["id"])


async def invite(client: httpx.AsyncClient, organization_id: str, email: str) -> str:
    """Invite to an organization and return the token that the inviter sees."""
    answer = await client.post(
        f"/api/organizations/{organization_id}/invitations", json={"email": email, "role": "member"}
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["token"])
