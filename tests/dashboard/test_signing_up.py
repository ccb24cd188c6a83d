"""Sign-up: who may create an account, and errors next to their fields."""

import asyncio
import re
from collections import Counter

import httpx
import pytest

from server.app import create_app
from server.settings import Settings
from tests.conftest import ORIGIN, Tenant
from tests.support.browsers import PASSWORD, browser_at, fresh, sign_up
from tests.support.fakes import WordEmbedder
from tests.support.started import running


async def test_sign_up_creates_an_account_and_signs_in(client: httpx.AsyncClient) -> None:
    answer = await sign_up(client, " Ann@Example.com ")
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard")
    me = (await client.get("/api/users/me")).json()
    assert (me["email"], me["name"], me["email_verified"]) == ("ann@example.com", "Ann", False)
    assert (await client.get("/dashboard", follow_redirects=True)).status_code == 200


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"email": "nobody"}, "email"),
        ({"email": ""}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 201}, "password"),
        ({"name": "x" * 101}, "name"),
        ({"name": "two\nlines"}, "name"),
    ],
)
async def test_an_error_is_shown_next_to_its_field(
    client: httpx.AsyncClient, fields: dict[str, str], field: str
) -> None:
    answer = await sign_up(client, **fields)
    assert answer.status_code == 400
    assert re.search(rf'id="{field}"[^>]*aria-invalid="true" aria-describedby="{field}-error"', answer.text)
    assert f'id="{field}-error"' in answer.text
    assert fields.get("password", PASSWORD) not in answer.text
    assert "set-cookie" not in answer.headers


async def test_an_email_address_can_have_only_one_account(client: httpx.AsyncClient) -> None:
    await sign_up(client)
    again = await sign_up(fresh(client), "ANN@example.com")
    assert again.status_code == 409
    assert "set-cookie" not in again.headers


@pytest.mark.parametrize(("policy", "status"), [("open", 303), ("invited", 403), ("closed", 403)])
async def test_sign_up_follows_the_policy(
    settings: Settings, alice: Tenant, policy: str, status: int, client: httpx.AsyncClient
) -> None:
    async with running(create_app(with_policy(settings, policy), lambda _settings: WordEmbedder())) as app:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as guest:
            assert (await sign_up(guest)).status_code == status
            guest.cookies.clear()
            assert ("<form" in (await guest.get("/sign-up")).text) is (policy != "closed")
            assert ('href="/sign-up' in (await guest.get("/sign-in")).text) is (policy != "closed")


async def test_r26_the_first_account_needs_no_invitation(settings: Settings) -> None:
    async with running(create_app(with_policy(settings, "invited"), lambda _settings: WordEmbedder())) as app:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as first:
            assert (await sign_up(first, "first@example.com")).status_code == 303
            assert (await sign_up(fresh(first), "second@example.com")).status_code == 403
            organization_id = (await first.post("/api/organizations", json={"name": "Lab"})).json()["id"]
            body = {"email": "second@example.com", "role": "member"}
            invitation = (await first.post(f"/api/organizations/{organization_id}/invitations", json=body)).json()
            await first.delete(f"/api/organizations/{organization_id}/invitations/{invitation['invitation_id']}")
            assert (await sign_up(fresh(first), "second@example.com")).status_code == 403
            await first.post(f"/api/organizations/{organization_id}/invitations", json=body)
            assert (await sign_up(fresh(first), "second@example.com")).status_code == 303


async def test_the_form_says_at_once_that_sign_up_is_by_invitation(settings: Settings) -> None:
    remark = "Sign-up is by invitation only"
    async with running(create_app(with_policy(settings, "invited"), lambda _settings: WordEmbedder())) as app:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as guest:
            assert remark not in (await guest.get("/sign-up")).text, "the first account needs no invitation"
            await sign_up(guest, "first@example.com")
            shown = (await fresh(guest).get("/sign-up")).text
            assert remark in shown
            assert "<form" in shown
            assert "Invited, but no account yet?" in (await fresh(guest).get("/sign-in")).text
            invited = (await fresh(guest).get("/sign-up?next=/accept-invitation/x")).text
            assert remark not in invited
            assert "Then you can answer your invitation." in invited


async def test_r26_of_several_first_accounts_at_once_one_is_made(settings: Settings) -> None:
    async with running(create_app(with_policy(settings, "invited"), lambda _settings: WordEmbedder())) as app:
        browsers = [browser_at(app, f"203.0.113.{number}") for number in range(8)]
        answers = await asyncio.gather(*(sign_up(one, f"a{n}@example.com") for n, one in enumerate(browsers)))
    assert Counter(answer.status_code for answer in answers) == {303: 1, 403: 7}


async def test_r08_sign_up_is_limited_per_address_and_apart_from_client_registration(settings: Settings) -> None:
    limited = settings.model_copy(update={"rate_limit_enabled": True, "rate_limit_sign_up": "2/hour"})
    async with running(create_app(limited, lambda _settings: WordEmbedder())) as app:
        one, other = browser_at(app, "203.0.113.1"), browser_at(app, "203.0.113.2")
        answers = [await sign_up(one, f"a{number}@example.com") for number in range(4)]
        assert [answer.status_code for answer in answers] == [303, 303, 429, 429]
        assert int(answers[-1].headers["retry-after"]) > 0
        assert (await sign_up(other)).status_code == 303
        client = {"redirect_uris": ["http://127.0.0.1/callback"]}
        assert (await one.post("/oauth/register", json=client)).status_code == 201


def with_policy(settings: Settings, policy: str) -> Settings:
    return settings.model_copy(update={"sign_up": policy})
