"""Signing in through an OpenID provider: which account is used, and what happens if the provider does not answer."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
import sqlalchemy as sa

from server.storage.database import Database
from tests.conftest import Tenant
from tests.support.browsers import fresh, sign_in, sign_up
from tests.support.provider import CALLBACK, REFUSED, Provider, counts, go, provider, settings, whoami

__all__ = ["provider", "settings"]


async def test_the_pages_offer_it(client: httpx.AsyncClient) -> None:
    for path in ("/sign-in", "/sign-up", "/setup"):
        page = (await client.get(f"{path}?next=/oauth/authorize/x")).text
        assert "Continue with Acme" in page
        assert 'action="/sign-in/provider?next=/oauth/authorize/x"' in page


@pytest.mark.parametrize(
    ("supported", "path", "prompt"),
    [
        (None, "?next=/oauth/authorize/x", None),
        (None, "?next=/oauth/authorize/x&switch=1", ["select_account"]),
        (["none", "login", "select_account"], "?switch=1", ["select_account"]),
        (["none", "login", "consent"], "?switch=1", ["login"]),
        (["none", "consent"], "?switch=1", None),
    ],
)
async def test_the_provider_is_told_that_a_person_wants_another_account(
    client: httpx.AsyncClient, provider: Provider, supported: list[str] | None, path: str, prompt: list[str] | None
) -> None:
    """Without the prompt, a provider that has a session would answer at once with the same account."""
    if supported is not None:
        provider.metadata["prompt_values_supported"] = supported
    there = await client.post(f"/sign-in/provider{path}")
    assert parse_qs(urlsplit(there.headers["location"]).query).get("prompt") == prompt


async def test_somebody_new_gets_an_account_with_a_confirmed_address(
    client: httpx.AsyncClient, provider: Provider
) -> None:
    answer = await go(client, provider, "?next=/dashboard/account")
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/account"), answer.text
    me = await whoami(client)
    assert (me["email"], me["name"], me["email_verified"]) == ("ann@example.com", "Ann", True)


@pytest.mark.parametrize("header", [{"client_id": "selfmemory"}, {"app_id": {"a": 1}, "ver": "1.0"}])
async def test_what_a_provider_adds_to_the_header_of_an_id_token_is_ignored(
    client: httpx.AsyncClient, provider: Provider, header: dict[str, object]
) -> None:
    """RFC 7515 section 4. Kanidm adds `client_id`, CyberArk `app_id`."""
    provider.header = header
    assert (await go(client, provider)).status_code == 303


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "EC", "crv": "brainpoolP256r1", "kid": "a", "x": "AA", "y": "AA"},
        {"kty": "OKP", "crv": "X1", "kid": "a", "x": "AA"},
        {"kty": "AKP", "alg": "ML-DSA-44", "kid": "a", "pub": "AA"},
        {"kty": "RSA", "kid": 1, "n": "AA", "e": "AQAB"},
        {"kty": "RSA", "kid": "a", "n": "AA"},
        {"kid": "a"},
        None,
    ],
)
async def test_keys_that_cannot_be_read_are_ignored(client: httpx.AsyncClient, provider: Provider, key: object) -> None:
    """RFC 7517 section 5: other keys of the set are still good."""
    provider.other_keys = [key]
    assert (await go(client, provider)).status_code == 303


async def test_null_in_the_discovery_is_as_left_out(client: httpx.AsyncClient, provider: Provider) -> None:
    provider.metadata = dict.fromkeys(("token_endpoint_auth_methods_supported", "prompt_values_supported"))
    assert (await go(client, provider)).status_code == 303


async def test_an_account_without_a_password_is_shown_how_to_set_one(
    client: httpx.AsyncClient, provider: Provider, database: Database
) -> None:
    await go(client, provider)
    page = (await client.get("/dashboard/account")).text
    assert "Current password" not in page
    assert 'href="/forgot-password"' in page

    with database.write() as session:
        session.execute(sa.text("UPDATE users SET password_hash = 'x'"))
    assert "Current password" in (await client.get("/dashboard/account")).text


async def test_a_confirmed_address_joins_its_account(
    client: httpx.AsyncClient, provider: Provider, alice: Tenant
) -> None:
    provider.person["email"] = "Alice@Example.com"
    await go(client, provider)
    assert (await whoami(client))["id"] == alice.user_id


async def test_a_similar_address_is_another_account(
    client: httpx.AsyncClient, provider: Provider, make_tenant: Callable[[str], Tenant]
) -> None:
    tenant = make_tenant("anna@strasse.example")
    provider.person["email"] = "anna@straße.example"
    await go(client, provider)
    me = await whoami(client)
    assert me["id"] != tenant.user_id
    assert me["email"] == "anna@straße.example"


async def test_later_the_subject_decides(client: httpx.AsyncClient, provider: Provider, bob: Tenant) -> None:
    await go(client, provider)
    first = await whoami(client)
    provider.person |= {"email": bob.email}
    browser = fresh(client)
    await go(browser, provider)
    assert (await whoami(browser))["id"] == first["id"]
    provider.person |= {"email_verified": False}
    await go(browser, provider)
    assert (await whoami(browser))["id"] == first["id"]


async def test_what_a_stranger_prepared_in_an_unproven_account_ends(
    client: httpx.AsyncClient, provider: Provider, database: Database
) -> None:
    """The stranger signed up with the victim's address before its owner came with the provider's proof."""
    await sign_up(client)
    project_id = (await client.get("/api/projects")).json()["projects"][0]["id"]
    made = await client.post(f"/api/projects/{project_id}/api-keys", json={"name": "stays?"})
    key = {"Authorization": f"Bearer {made.json()['api_key']}"}
    guest = fresh(client)
    await sign_up(guest, "eve@example.com")
    invited = await client.post(
        f"/api/projects/{project_id}/invitations", json={"email": "eve@example.com", "role": "viewer"}
    )
    await guest.post(f"/api/invitations/{invited.json()['token']}/accept")
    assert (await guest.get(f"/api/projects/{project_id}")).status_code == 200

    owner = fresh(client)
    await go(owner, provider)
    assert (await whoami(owner))["email_verified"] is True
    assert (await owner.get(f"/api/projects/{project_id}")).status_code == 200
    assert (await client.get("/api/users/me")).status_code == 401
    assert (await client.get("/api/memories", headers=key)).status_code == 401
    assert (await guest.get(f"/api/projects/{project_id}")).status_code == 404
    assert (await sign_in(fresh(client))).status_code == 401
    with database.read() as session:
        epoch = "SELECT browser_epoch FROM users WHERE email = 'ann@example.com'"
        assert session.execute(sa.text(epoch)).scalar_one() == 1  # the stranger's browser is unknown


async def test_an_unconfirmed_address_is_refused_with_a_sentence(
    client: httpx.AsyncClient, provider: Provider, database: Database
) -> None:
    before = counts(database)
    for unproven in (False, None, "false", 0, "yes"):
        provider.person["email_verified"] = unproven
        answer = await go(client, provider)
        assert answer.status_code == 403
        assert "has not confirmed your email address" in answer.text
    assert counts(database) == before


async def test_an_address_may_come_from_userinfo(client: httpx.AsyncClient, provider: Provider) -> None:
    provider.person = {"sub": "1"}
    provider.userinfo = {"sub": "1", "email": "ann@example.com", "email_verified": "true"}
    assert (await go(client, provider)).status_code == 303
    assert (await whoami(client))["email"] == "ann@example.com"


async def test_userinfo_may_confirm_its_own_address(client: httpx.AsyncClient, provider: Provider) -> None:
    provider.person = {"sub": "1", "email": "other@example.com"}
    provider.userinfo = {"sub": "1", "email": "ann@example.com", "email_verified": True}
    assert (await go(client, provider)).status_code == 303
    assert (await whoami(client))["email"] == "ann@example.com"


async def test_userinfo_of_somebody_else_is_refused(client: httpx.AsyncClient, provider: Provider) -> None:
    provider.person = {"sub": "1"}
    provider.userinfo = {"sub": "2", "email": "ann@example.com", "email_verified": True}
    assert REFUSED in (await go(client, provider)).text


@pytest.mark.settings(sign_up="closed")
async def test_a_closed_server_takes_nobody_new(client: httpx.AsyncClient, provider: Provider, alice: Tenant) -> None:
    answer = await go(client, provider)
    assert answer.status_code == 403
    assert "Sign-up is closed:" in answer.text
    provider.person |= {"email": alice.email, "sub": "2"}
    assert (await go(client, provider)).status_code == 303


@pytest.mark.settings(sign_up="invited")
async def test_a_server_for_invited_people_takes_those(
    client: httpx.AsyncClient, provider: Provider, alice: Tenant, database: Database
) -> None:
    assert "by invitation" in (await go(client, provider)).text
    provider.person |= {"email": alice.email, "sub": "2"}
    owner = fresh(client)
    await go(owner, provider)
    invited = await owner.post(
        f"/api/projects/{alice.project_id}/invitations", json={"email": "ann@example.com", "role": "viewer"}
    )
    assert invited.status_code == 200
    provider.person |= {"email": "ann@example.com", "sub": "1"}
    assert (await go(client, provider)).status_code == 303
    assert len((await client.get("/api/invitations/pending")).json()) == 1


async def test_the_way_back_survives_a_refusal(client: httpx.AsyncClient, provider: Provider) -> None:
    answer = await go(client, provider, "?next=/oauth/authorize/x", code="", error="access_denied")
    assert 'action="/sign-in?next=/oauth/authorize/x"' in answer.text


@pytest.mark.parametrize("length", [10, 2000])
async def test_next_survives(client: httpx.AsyncClient, provider: Provider, length: int) -> None:
    path = "/oauth/authorize?" + urlencode({"state": "x" * length})
    answer = await go(client, provider, "?" + urlencode({"next": path}))
    assert answer.headers["location"] == path


async def test_next_leads_to_this_site_alone(client: httpx.AsyncClient, provider: Provider) -> None:
    answer = await go(client, provider, "?next=//evil.example")
    assert answer.headers["location"] == "/dashboard"


async def test_strangers_write_nothing(client: httpx.AsyncClient, provider: Provider, database: Database) -> None:
    before = counts(database)
    for _ in range(5):
        await client.post("/sign-in/provider")
        await go(client, provider, state="another")
        await go(client, provider, code="unknown")
        await client.get(CALLBACK)
    assert counts(database) == before


async def test_what_the_browser_keeps_is_sealed(client: httpx.AsyncClient, provider: Provider) -> None:
    there = await client.post("/sign-in/provider")
    cookie = there.headers["set-cookie"]
    asked = parse_qs(urlsplit(there.headers["location"]).query)
    assert {"HttpOnly", "SameSite=Lax", "Path=/sign-in", "Max-Age=600"} <= set(cookie.split("; "))
    assert asked["state"][0] not in cookie
    assert asked["nonce"][0] not in cookie
    assert asked["redirect_uri"] == [f"http://localhost:8081{CALLBACK}"]
    assert set(asked["scope"][0].split()) == {"openid", "email", "profile"}


@pytest.mark.settings(oidc_issuer="")
async def test_without_a_provider_there_is_nothing(client: httpx.AsyncClient, provider: Provider) -> None:
    assert "provider" not in (await client.get("/sign-in")).text
    assert (await client.post("/sign-in/provider")).status_code == 404
    assert (await client.get(CALLBACK)).status_code == 404


async def test_a_form_of_another_site_begins_nothing(client: httpx.AsyncClient, provider: Provider) -> None:
    assert (await client.post("/sign-in/provider", headers={"Origin": "https://evil.example"})).status_code == 403


async def test_a_deleted_account_is_forgotten(
    client: httpx.AsyncClient, provider: Provider, database: Database
) -> None:
    await go(client, provider)
    first = await whoami(client)
    assert (await client.delete("/api/users/me")).status_code == 200
    assert counts(database)["identities"] == 0
    await go(client, provider)
    assert (await whoami(client))["id"] != first["id"]
