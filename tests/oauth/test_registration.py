"""Requirements C5, C6 and 10-21: dynamic client registration (RFC 7591)."""

import codecs
import json
from datetime import timedelta

import httpx
import pytest
from sqlmodel import select

from server.domain.grants import retention
from server.models import OAuthClient
from server.models.base import now
from server.settings import Settings
from server.storage.database import Database
from tests.oauth.conftest import Register
from tests.support.flows import CALLBACK, Person, error_of, is_page
from tests.support.vendors import DOCUMENTS, REGISTERING, Vendor

REFUSED = [
    "javascript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "blob:https://example.com/1",
    "about:blank", "http://evil.example/cb", "http://localhost.evil.example/", "http://localhost:80@evil.example/cb",
    "http://127.0.0.1.evil/", "https://app.example/cb#part", "https://app.example/cb#", "/callback", "callback", "",
    "https://*.example.com/cb", "https://app.example/*", "https://", "https:app.example", "//app.example/cb",
    "http://localhost:0/cb", "http://localhost:65536/cb", "http://localhost:port/cb", "https://me@app.example/cb",
    "https://app.example/c b", "https://app.example\\@evil.example/", "https://app.exämple/cb", "mailto:a@example.com",
    "https://app.example/cb?code=mine", "https://app.example/cb?iss=mine", "https://app.example/" + "x" * 2000,
]  # fmt: skip


async def test_010_020_the_answer_repeats_the_registration(client: httpx.AsyncClient) -> None:
    given = {"client_name": "Notes", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none",
             "client_uri": "https://notes.example"}  # fmt: skip
    response = await client.post("/oauth/register", json=given)
    assert response.status_code == 201
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.json().items() >= given.items()
    assert response.json()["client_id"]
    assert "registration_client_uri" not in response.json()  # 20: RFC 7592 is not offered


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_011_only_a_confidential_client_gets_a_secret(client: httpx.AsyncClient, method: str) -> None:
    public = {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}
    assert "client_secret" not in (await client.post("/oauth/register", json=public)).json()
    body = (await client.post("/oauth/register", json=public | {"token_endpoint_auth_method": method})).json()
    assert len(body["client_secret"]) >= 32
    assert body["client_secret_expires_at"] == 0
    assert body["token_endpoint_auth_method"] == method


@pytest.mark.parametrize("method", [{}, {"token_endpoint_auth_method": None}])
async def test_c05_the_default_method_is_basic(client: httpx.AsyncClient, method: dict[str, None]) -> None:
    body = (await client.post("/oauth/register", json={"redirect_uris": [CALLBACK], **method})).json()
    assert body["token_endpoint_auth_method"] == "client_secret_basic"
    assert "client_secret" in body


async def test_012_a_client_cannot_choose_its_id_or_secret(client: httpx.AsyncClient) -> None:
    chosen = {
        "client_id": "https://claude.ai/client", "client_secret": "mine", "client_id_issued_at": 1,
        "registration_access_token": "mine", "software_statement": "a.b.c", "kind": "configured",
    }  # fmt: skip
    response = await client.post("/oauth/register", json={"redirect_uris": [CALLBACK], **chosen})
    assert response.status_code == 201
    body = response.json()
    assert not [name for name, value in chosen.items() if body.get(name) == value]


async def test_013_a_redirect_uri_that_is_not_safe_is_refused(client: httpx.AsyncClient) -> None:
    for uri in REFUSED:
        response = await client.post("/oauth/register", json={"redirect_uris": [uri]})
        assert response.status_code == 400, uri
        assert error_of(response) == "invalid_redirect_uri", uri


async def test_013_one_bad_redirect_uri_does_not_spoil_the_others(client: httpx.AsyncClient) -> None:
    mixed = [*REFUSED[:10], CALLBACK, 7, None, *REFUSED[10:], "https://app.example/cb"]
    response = await client.post("/oauth/register", json={"redirect_uris": mixed})
    assert response.status_code == 201, response.text
    assert response.json()["redirect_uris"] == [CALLBACK, "https://app.example/cb"]


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("javascript:alert(1)", "javascript:alert(1) is neither https, http on localhost, nor the private scheme"),
        ("localhost:3000/cb", "localhost:3000/cb is neither https"),
        ("http://app.example/cb", "http://app.example/cb is plain http, which is for localhost"),
        ("http://LOCALHOST:1/cb", "in lower case and with a port from 1 to 65535"),
        ("http://localhost:0/cb", "in lower case and with a port from 1 to 65535"),
        ("http://localhost:1/cb#part", "http://localhost:1/cb#part has a part that is not allowed"),
        ("https://app.example:65536/cb", "a port outside 1 to 65535"),
        ("http://192.168.1.5:3000/cb", "private network. Use https, or connect with an API key"),
        ("http://nas.local/cb", "private network. Use https, or connect with an API key"),
        ('https://app.example/"\u00e9', "https://app.example/%22%C3%A9 has a part that is not allowed"),
        ("https://app.example/" + "x" * 2000, "... is longer than 2000 characters"),
    ],
)
async def test_013_a_refusal_names_the_uri_and_what_is_right(client: httpx.AsyncClient, uri: str, words: str) -> None:
    response = await client.post("/oauth/register", json={"redirect_uris": [uri]})
    assert error_of(response) == "invalid_redirect_uri"
    assert words in response.json()["error_description"]


@pytest.mark.parametrize("uris", [[], None, "https://app.example/cb", [1], [[CALLBACK]], {"a": 1}, [CALLBACK] * 51])
async def test_013_redirect_uris_are_a_list_of_at_least_one(client: httpx.AsyncClient, uris: object) -> None:
    assert error_of(await client.post("/oauth/register", json={"redirect_uris": uris})) == "invalid_redirect_uri"


@pytest.mark.parametrize("vendor", [*REGISTERING, *DOCUMENTS], ids=lambda vendor: vendor.name)
async def test_c05_014_every_known_client_can_register(client: httpx.AsyncClient, vendor: Vendor) -> None:
    metadata = {name: value for name, value in vendor.metadata.items() if value != "private_key_jwt"}
    response = await client.post("/oauth/register", json=metadata)
    assert response.status_code == 201, response.text
    assert response.json()["redirect_uris"] == vendor.metadata["redirect_uris"]
    asked = metadata.get("token_endpoint_auth_method", "client_secret_basic")
    assert response.json()["token_endpoint_auth_method"] == asked


async def test_c05_015_malformed_and_unknown_fields_are_ignored(client: httpx.AsyncClient) -> None:
    odd: dict[str, object] = {
        "redirect_uris": [CALLBACK], "client_uri": "javascript:alert(1)", "policy_uri": 5, "tos_uri": "",
        "logo_uri": None, "contacts": "nobody", "grant_types": ["password", "refresh_token", 7, "authorization_code"],
        "response_types": ["code id_token"], "client_name": ["x"], "whatever": {"deep": [1]},
    }  # fmt: skip
    response = await client.post("/oauth/register", json=odd)
    assert response.status_code == 201, response.text
    body = response.json()
    assert not {"client_uri", "policy_uri", "tos_uri", "logo_uri", "contacts", "whatever", "client_name"} & set(body)
    assert body["grant_types"] == ["authorization_code", "refresh_token"]
    assert body["response_types"] == ["code"]


@pytest.mark.parametrize(
    ("content", "media", "status"),
    [
        (b"redirect_uris=x", "application/x-www-form-urlencoded", 415),
        (b"{}", "text/plain", 415),
        (b"[]", "application/json", 400),
        (b'"x"', "application/json", 400),
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 50_000, "application/json", 400),
        (b'{"redirect_uris": ["https://a.example/"], "client_name": "a\\u0000b"}', "application/json", 400),
        (b'{"redirect_uris": ["https://a.example/"], "client_name": "\\ud800"}', "application/json", 400),
        (b" " * 64_001, "application/json", 413),
    ],
)
async def test_016_a_malformed_body_is_refused(
    client: httpx.AsyncClient, content: bytes, media: str, status: int
) -> None:
    response = await client.post("/oauth/register", content=content, headers={"Content-Type": media})
    error_of(response, status)


async def test_016_a_byte_order_mark_is_skipped(client: httpx.AsyncClient) -> None:
    body = codecs.BOM_UTF8 + json.dumps({"redirect_uris": [CALLBACK]}).encode()
    answer = await client.post("/oauth/register", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 201, answer.text


@pytest.mark.settings(rate_limit_enabled=True, rate_limit_registration="3/minute")
async def test_017_registrations_from_one_address_are_limited(client: httpx.AsyncClient) -> None:
    statuses = []
    for number in range(5):
        forwarded = {"X-Forwarded-For": f"203.0.113.{number}", "Forwarded": f"for=203.0.113.{number}"}
        response = await client.post("/oauth/register", json={"redirect_uris": [CALLBACK]}, headers=forwarded)
        statuses.append(response.status_code)
    assert statuses == [201, 201, 201, 429, 429]
    assert int(response.headers["retry-after"]) > 0
    error_of(response, 429)


async def test_019_ids_are_unguessable_and_not_urls(register: Register) -> None:
    ids = {(await register()).client_id for _ in range(3)}
    assert len(ids) == 3
    assert all(len(one) >= 32 and not one.startswith("http") for one in ids)


@pytest.mark.parametrize("method", ["private_key_jwt", "client_secret_jwt", "tls_client_auth", "made-up", 5, []])
async def test_an_unknown_method_is_refused(client: httpx.AsyncClient, method: object) -> None:
    given = {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": method}
    response = await client.post("/oauth/register", json=given)
    assert error_of(response) == "invalid_client_metadata"
    known = "Use one of: none, client_secret_basic, client_secret_post."
    assert response.json()["error_description"] == f"This token_endpoint_auth_method is not supported. {known}"


async def test_018_a_strange_name_is_shown_as_plain_text(register: Register, ann: Person) -> None:
    name = "<b onclick=x>Bank\u202e\u0007\u200b\nof Notes</b>" + "z" * 2000
    strange = await register(
        client_name=name, logo_uri="https://evil.example/logo.png", client_uri="https://evil.example"
    )
    page = await ann.open(strange.request())
    assert page.status_code == 200
    assert "<b onclick" not in page.text
    assert "&lt;b onclick=x&gt;Bank of Notes&lt;/b&gt;" in page.text
    assert "z" * 60 not in page.text
    assert not [character for character in "\u202e\u0007\u200b" if character in page.text]
    assert "evil.example" not in page.text


async def test_021_a_client_that_was_never_used_is_deleted(
    register: Register, ann: Person, database: Database, settings: Settings
) -> None:
    used, unused, young = await register(), await register(), await register()
    await used.connect(ann)
    with database.write() as session:
        for row in session.exec(select(OAuthClient).where(OAuthClient.id != young.client_id)):
            row.created_at = now() - timedelta(days=settings.client_retention_days)
    with database.write() as session:
        retention.remove_expired(session, settings.client_retention_days)
    assert is_page(await ann.open(unused.request()))
    assert error_of(await unused.refresh("sm_rt_x"), 401) == "invalid_client"
    assert (await ann.open(young.request())).status_code == 200
    assert (await ann.open(used.request())).status_code == 200


async def test_c06_a_loopback_redirect_uri_may_use_any_port(register: Register, ann: Person) -> None:
    for registered in ("http://localhost/callback", "http://127.0.0.1:8000/callback", "http://[::1]:1/callback"):
        app = await register(redirect_uris=[registered])
        base = registered.removesuffix("/callback").rstrip("0123456789").rstrip(":")
        for uri in (registered, f"{base}:1/callback", f"{base}:65535/callback"):
            app.redirect_uri = uri
            assert await app.works((await app.connect(ann)).access), uri


async def test_c06_no_path_is_the_path_slash(register: Register, ann: Person) -> None:
    """VS Code tells people to register the first of these, and asks for the second."""
    uris = "http://127.0.0.1:33418", "http://127.0.0.1:33418/"
    for registered, asked in (uris, uris[::-1]):
        app = await register(redirect_uris=[registered])
        app.redirect_uri = asked
        assert await app.works((await app.connect(ann)).access), asked
