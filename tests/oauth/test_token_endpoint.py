"""Requirements C11, C12 and 65-78: a client exchanges its code for tokens, once."""

import base64
import json
import random
from datetime import timedelta
from urllib.parse import quote

import httpx
import pytest
from sqlmodel import select

from server.models import AuthorizationCode
from server.models.base import now
from server.storage.database import Database
from tests.oauth.conftest import Register
from tests.support.flows import CALLBACK, EVERYDAY, App, Person, basic, challenge_of, error_of, tokens_of
from tests.support.tables import rows

FORM = "application/x-www-form-urlencoded"


async def test_065_only_a_posted_form_is_accepted(notes: App, ann: Person) -> None:
    code = await ann.allow(notes.request())
    given = {
        "grant_type": "authorization_code", "client_id": notes.client_id, "code_verifier": notes.verifier,
        "redirect_uri": CALLBACK,
    }  # fmt: skip
    assert error_of(await notes.http.get("/oauth/token"), 405) == "invalid_request"
    assert error_of(await notes.http.post("/oauth/token", json=given | {"code": code})) == "invalid_request"
    assert error_of(await notes.http.post("/oauth/token", data=given, params={"code": code})) == "invalid_request"
    assert error_of(await notes.http.post("/oauth/token", params=given)) == "invalid_request"
    elsewhere = {"client_id": "client_x", "redirect_uri": "https://x", "grant_type": "password"}
    response = await notes.http.post("/oauth/token", data=given | {"code": code}, params=elsewhere)
    assert response.status_code == 200


@pytest.mark.parametrize("media", [f"{FORM}, {FORM};charset=UTF-8", f"application/json, {FORM}"])
async def test_065_a_form_is_accepted_if_its_type_is_named_twice(notes: App, ann: Person, media: str) -> None:
    """The MCP Inspector names JSON and the form; clients with headers of their own name the form twice."""
    given = {
        "grant_type": "authorization_code", "client_id": notes.client_id, "code_verifier": notes.verifier,
        "redirect_uri": CALLBACK, "code": await ann.allow(notes.request()),
    }  # fmt: skip
    response = await notes.http.post("/oauth/token", data=given, headers={"Content-Type": media})
    assert response.status_code == 200


@rows("name", ["grant_type", "code", "client_id", "code_verifier", "redirect_uri", "scope"])
async def test_065_a_repeated_parameter_is_refused(notes: App, ann: Person, name: str) -> None:
    given = {
        "grant_type": "authorization_code", "client_id": notes.client_id, "code_verifier": notes.verifier,
        "redirect_uri": CALLBACK, "code": await ann.allow(notes.request()), "scope": EVERYDAY,
    }  # fmt: skip
    body = "&".join(f"{one}={quote(value)}" for one, value in [*given.items(), (name, given[name])])
    headers = {"Content-Type": FORM}
    assert error_of(await notes.http.post("/oauth/token", content=body, headers=headers)) == "invalid_request"
    assert (await notes.http.post("/oauth/token", data=given)).status_code == 200


async def test_c11_c12_066_the_answer_has_every_field_that_clients_read(notes: App, ann: Person) -> None:
    response = await notes.redeem(await ann.allow(notes.request()))
    body = response.json()
    assert set(body) == {"access_token", "refresh_token", "token_type", "expires_in", "scope"}
    assert body["token_type"].lower() == "bearer"
    assert body["expires_in"] == 3600
    assert body["scope"] == EVERYDAY
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-type"] == "application/json"


async def test_c11_a_client_that_may_not_refresh_gets_no_refresh_token(register: Register, ann: Person) -> None:
    app = await register(grant_types=["authorization_code"])
    body = (await app.redeem(await ann.allow(app.request(scope="memories:read offline_access")))).json()
    assert "refresh_token" not in body
    assert error_of(await app.refresh("sm_rt_x")) == "unauthorized_client"


async def test_067_the_verifier_must_match_the_challenge(notes: App, ann: Person) -> None:
    code = await ann.allow(notes.request())
    wrong = {
        "w" * 43: "invalid_grant", challenge_of(notes.verifier): "invalid_grant",
        notes.verifier[:42]: "invalid_request", notes.verifier * 3: "invalid_request",
        notes.verifier[:-1] + "!": "invalid_request",
        notes.verifier[:-1] + "é": "invalid_request", "": "invalid_request",
    }  # fmt: skip
    for verifier, error in wrong.items():
        assert error_of(await notes.redeem(code, code_verifier=verifier)) == error
    assert error_of(await notes.redeem(code, code_verifier=None)) == "invalid_request"
    assert (await notes.redeem(code)).status_code == 200  # 70: the failed attempts did not use it up


async def test_067_a_confidential_client_needs_the_verifier_too(backend: App, ann: Person) -> None:
    code = await ann.allow(backend.request())
    assert error_of(await backend.redeem(code, code_verifier=None)) == "invalid_request"
    assert error_of(await backend.redeem(code, code_verifier="w" * 43)) == "invalid_grant"


async def test_069_a_second_use_revokes_the_tokens_of_the_first(notes: App, ann: Person) -> None:
    code = await ann.allow(notes.request())
    tokens = tokens_of(await notes.redeem(code))
    later = tokens_of(await notes.refresh(tokens.refresh))
    assert error_of(await notes.redeem(code)) == "invalid_grant"
    assert not await notes.works(tokens.access)
    assert not await notes.works(later.access)
    assert error_of(await notes.refresh(later.refresh)) == "invalid_grant"


async def test_070_a_failed_exchange_revokes_nothing(notes: App, backend: App, ann: Person) -> None:
    code = await ann.allow(notes.request())
    tokens = tokens_of(await notes.redeem(code))
    assert error_of(await notes.redeem(code, code_verifier="w" * 43)) == "invalid_grant"
    assert error_of(await backend.redeem(code, code_verifier=notes.verifier)) == "invalid_grant"
    assert error_of(await notes.redeem(code, redirect_uri="https://evil.example/")) == "invalid_grant"
    assert await notes.works(tokens.access)
    assert (await notes.refresh(tokens.refresh)).status_code == 200


async def test_071_a_code_works_only_for_its_client(notes: App, register: Register, ann: Person) -> None:
    code = await ann.allow(notes.request())
    other = await register()
    assert error_of(await other.redeem(code, code_verifier=notes.verifier)) == "invalid_grant"
    for uri in ("http://127.0.0.1:7778/callback", "https://evil.example/"):
        assert error_of(await notes.redeem(code, redirect_uri=uri)) == "invalid_grant"
    assert (await notes.redeem(code, redirect_uri=None)).status_code == 200


async def test_071_107_a_code_is_valid_for_a_minute(notes: App, ann: Person, database: Database) -> None:
    code = await ann.allow(notes.request())
    with database.write() as session:
        row = session.exec(select(AuthorizationCode)).one()
        assert timedelta(seconds=50) < row.expires_at - now() <= timedelta(seconds=60)
        row.expires_at = now()
    assert error_of(await notes.redeem(code)) == "invalid_grant"


async def test_072_the_resource_must_be_ours_or_absent(notes: App, ann: Person) -> None:
    code = await ann.allow(notes.request())
    assert error_of(await notes.redeem(code, resource="https://other.example/mcp")) == "invalid_target"
    assert (await notes.redeem(code, resource="http://localhost:8081/mcp/")).status_code == 200
    assert (await notes.redeem(await ann.allow(notes.request(resource=None)))).status_code == 200


async def test_073_074_a_confidential_client_must_authenticate(backend: App, notes: App, ann: Person) -> None:
    assert backend.secret
    code = await ann.allow(backend.request())
    given = {"grant_type": "authorization_code", "code": code, "code_verifier": backend.verifier}
    own = {"client_id": backend.client_id}
    right, wrong = basic(backend.client_id, backend.secret), basic(backend.client_id, backend.secret + "x")
    attempts: list[tuple[dict[str, str], dict[str, str]]] = [
        (given | own, {}),
        (given, wrong),
        (given | own, wrong),
        (given | own | {"client_secret": backend.secret}, right),
        (given, basic("", "")),
        (given, basic(backend.client_id, "")),
        (given, {"Authorization": "Basic"}),
        (given, {"Authorization": "Basic !!!"}),
        (given, {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe:x").decode()}),
        (given, {"Authorization": "Basic " + base64.b64encode(b"%00:x").decode()}),
        (given, {"Authorization": f"Bearer {backend.secret}"}),
        (given | {"client_id": notes.client_id}, right),  # 74
        (given | own | {"client_id": notes.client_id, "client_secret": backend.secret}, {}),
        (given, {}),
    ]
    for data, headers in attempts:
        response = await notes.http.post("/oauth/token", data=data, headers=headers)
        assert error_of(response, 401) == "invalid_client", (data, headers)
        assert ("www-authenticate" in response.headers) is bool(headers)
        assert response.headers.get("www-authenticate", "Basic").startswith("Basic")
    assert (await notes.http.post("/oauth/token", data=given, headers=right)).status_code == 200


@rows("registered", ["client_secret_basic", "client_secret_post"])
async def test_c12_073_a_secret_may_be_in_the_header_or_in_the_body(
    registered: str, register: Register, ann: Person
) -> None:
    """At every endpoint and however it registered: many libraries choose a way without regard to the registration."""
    app = await register(token_endpoint_auth_method=registered)
    assert app.secret
    no_headers: dict[str, str] = {}
    in_body = {"client_id": app.client_id, "client_secret": app.secret}
    for own, headers in ((in_body, no_headers), ({}, basic(app.client_id, app.secret))):
        given = {"grant_type": "authorization_code", "code": await ann.allow(app.request())}
        given |= {"code_verifier": app.verifier}
        issued = await app.http.post("/oauth/token", data=given | own, headers=headers)
        token = {"token": issued.json()["access_token"]}
        described = await app.http.post("/oauth/introspect", data=token | own, headers=headers)
        assert described.json()["active"] is True
        assert (await app.http.post("/oauth/revoke", data=token | own, headers=headers)).status_code == 200
        assert not await app.works(token["token"])
    wrong = await app.http.post("/oauth/revoke", data={"token": "x"}, headers=basic(app.client_id, "wrong"))
    assert error_of(wrong, 401) == "invalid_client"


async def test_073_a_public_client_must_send_no_secret(notes: App, ann: Person) -> None:
    code = await ann.allow(notes.request())
    assert error_of(await notes.redeem(code, client_secret="mine"), 401) == "invalid_client"
    assert (await notes.redeem(code, client_secret="")).status_code == 200


async def test_074_the_header_is_form_encoded(backend: App, ann: Person) -> None:
    assert backend.secret
    given = {"grant_type": "authorization_code", "code": await ann.allow(backend.request()),
             "code_verifier": backend.verifier}  # fmt: skip
    encoded = ["".join(f"%{ord(letter):02x}" for letter in part) for part in (backend.client_id, backend.secret)]
    response = await backend.http.post("/oauth/token", data=given, headers=basic(*encoded))
    assert response.status_code == 200


@rows(
    ("grant_type", "error"),
    [
        ("password", "unsupported_grant_type"),
        ("client_credentials", "unsupported_grant_type"),
        ("urn:ietf:params:oauth:grant-type:jwt-bearer", "unsupported_grant_type"),
        ("urn:ietf:params:oauth:grant-type:device_code", "unsupported_grant_type"),
        ("\"'é", "unsupported_grant_type"),
        (None, "invalid_request"),
    ],
)
async def test_075_other_grant_types_are_refused(backend: App, grant_type: str | None, error: str) -> None:
    assert error_of(await backend.post("/oauth/token", {"grant_type": grant_type, "username": "a"})) == error


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke", "/oauth/introspect"])
async def test_074_077_credentials_outside_ascii_are_refused(client: httpx.AsyncClient, path: str) -> None:
    headers = httpx.Headers({"Authorization": "Basic é"}, encoding="latin-1")
    assert error_of(await client.post(path, data={"token": "x"}, headers=headers), 401) == "invalid_client"


async def test_077_no_input_crashes_the_endpoint_or_is_echoed(notes: App) -> None:
    chance = random.Random(7)
    secret = "sm_rt_Sensitive"
    words = [secret, "grant_type", "=", "&", "%", "%ff", "%00", "code", "\x00", "é", ";", "+", "refresh_token", "[]"]
    bodies = ["".join(chance.choices(words, k=chance.randint(0, 30))).encode() for _ in range(40)]
    bodies += [json.dumps({"code": secret}).encode(), b"\xff" * 10, b"a=1&" * 200, f"refresh_token={secret}".encode()]
    for path in ("/oauth/token", "/oauth/revoke", "/oauth/introspect"):
        for body in bodies:
            response = await notes.http.post(path, content=body, headers={"Content-Type": FORM})
            assert 400 <= response.status_code < 500, body
            error_of(response, response.status_code)
            assert "Sensitive" not in response.text
    too_much = await notes.http.post("/oauth/token", content=b"a=" + b"x" * 64_001, headers={"Content-Type": FORM})
    assert error_of(too_much, 413)


@pytest.mark.settings(rate_limit_enabled=True, rate_limit_token_failure="5/minute")
async def test_078_failures_are_limited_without_blocking_others(
    notes: App, ann: Person, register: Register, client: httpx.AsyncClient
) -> None:
    tokens = await notes.connect(ann)
    statuses = [(await notes.refresh("sm_rt_guess")).status_code for _ in range(7)]
    assert statuses == [400] * 5 + [429] * 2
    limited = await notes.refresh("sm_rt_guess")
    assert int(limited.headers["retry-after"]) > 0
    error_of(limited, 429)
    assert (await notes.refresh(tokens.refresh)).status_code == 200
    other = await register()
    assert error_of(await other.refresh("sm_rt_guess")) == "invalid_grant"
