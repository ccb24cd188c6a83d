"""An account with a second factor, set up and used through its pages."""

import re
from dataclasses import dataclass

import httpx
import sqlalchemy as sa

from server.domain.people import mailed_tokens, users
from server.models import User
from server.models.base import now
from server.models.users import MailedPurpose
from server.storage.database import Database
from tests.support.authenticator import Authenticator
from tests.support.visitors import hidden, seen

PAGE = "/dashboard/account/two-factor"
STEP = "/sign-in/verify"
EMAIL = "ann@example.com"
CODE = re.compile(r"\b[0-9a-z]{4}(?:-[0-9a-z]{4}){3}\b")


@dataclass(frozen=True)
class Enrolled:
    """A browser whose user has set up the app, and what the user has to keep."""

    client: httpx.AsyncClient
    app: Authenticator
    recovery_codes: list[str]


async def set_up(client: httpx.AsyncClient) -> Enrolled:
    """Turn on the second factor for the signed-in account."""
    page = await client.post(PAGE)
    key = re.search(r'id="key" value="(\w+)"', page.text)
    assert key, seen(page)
    app = Authenticator(key[1])
    fields = {"sealed": hidden(page, "sealed"), "code": app.code()}
    done = await client.post(f"{PAGE}/on", data=fields, follow_redirects=True)
    codes = CODE.findall(seen(done))
    assert len(set(codes)) == 10, seen(done)
    return Enrolled(client, app, codes)


async def enter(browser: httpx.AsyncClient, code: str, path: str = STEP) -> httpx.Response:
    return await browser.post(path, data={"code": code})


async def is_signed_in(browser: httpx.AsyncClient) -> bool:
    return (await browser.get("/api/users/me")).status_code == 200


def reset_link(database: Database) -> str:
    with database.write() as session:
        user = users.require_by_email(session, EMAIL)
        token = mailed_tokens.issue(session, user.id, MailedPurpose.RESET)
    return f"/reset-password/{token}"


def confirm(database: Database) -> None:
    """Confirm the address, as a mailed link would."""
    with database.write() as session:
        session.execute(sa.update(User).values(email_verified_at=now()))
