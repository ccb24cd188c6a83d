"""Signing in through an OpenID provider: invalid answers are refused, and so is a provider that does not answer."""

import time
from collections.abc import Callable

import httpx
import pytest
from joserfc.jwk import RSAKey
from starlette.responses import JSONResponse, PlainTextResponse, Response

from server import logs
from tests.support.browsers import COOKIE, fresh
from tests.support.provider import AWAY, CALLBACK, CLIENT_ID, REFUSED, Provider, go, provider, settings
from tests.support.tables import rows

__all__ = ["provider", "settings"]

LIES: dict[str, dict[str, object]] = {
    "another issuer": {"iss": "https://evil.example"},
    "another audience": {"aud": "another"},
    "several audiences without a party": {"aud": [CLIENT_ID, "another"]},
    "another party": {"aud": [CLIENT_ID, "another"], "azp": "another"},
    "another nonce": {"nonce": "another"},
    "no nonce": {"nonce": None},
    "no subject": {"sub": None},
    "an empty subject": {"sub": ""},
    "ended": {"exp": int(time.time()) - 3600},
    "no end": {"exp": None},
    "from the future": {"nbf": int(time.time()) + 3600},
    "a foreign access token": {"at_hash": "x"},
    "an access token that is no text": {"at_hash": ["x"]},
    "a subject with a control character": {"sub": "a\0b"},
    "a subject of 256 characters": {"sub": "a" * 256},
}


@rows("lie", LIES)
async def test_an_id_token_that_does_not_hold_is_refused(
    client: httpx.AsyncClient, provider: Provider, lie: str
) -> None:
    """OpenID Connect Core section 3.1.3.7."""
    provider.claims = LIES[lie]
    answer = await go(client, provider)
    assert answer.status_code == 403, answer.text
    assert REFUSED in answer.text
    assert COOKIE not in client.cookies


async def test_a_signature_of_another_key_is_refused(client: httpx.AsyncClient, provider: Provider) -> None:
    for kid in ("first", "second"):
        provider.signing_key = RSAKey.generate_key(2048, {"kid": kid, "alg": "RS256"})
        assert REFUSED in (await go(client, provider)).text


async def test_a_header_that_must_be_understood_is_refused(client: httpx.AsyncClient, provider: Provider) -> None:
    """RFC 7515 section 4.1.11."""
    provider.header = {"crit": ["must"], "must": "x"}
    assert REFUSED in (await go(client, provider)).text


@pytest.mark.parametrize("keys", [{"keys": 5}, {"keys": []}, {"keys": [{"kty": "AKP"}]}, []])
async def test_keys_that_are_no_keys_are_one_sentence(
    client: httpx.AsyncClient, provider: Provider, keys: object
) -> None:
    provider.keys_answer = JSONResponse(keys)
    answer = await client.post("/sign-in/provider")
    assert (answer.status_code, AWAY in answer.text) == (503, True)


async def test_a_token_without_a_signature_is_refused(client: httpx.AsyncClient, provider: Provider) -> None:
    provider.unsigned = True
    assert REFUSED in (await go(client, provider)).text


async def test_new_keys_of_the_provider_are_read(
    client: httpx.AsyncClient, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    await go(client, provider)
    provider.key = RSAKey.generate_key(2048, {"kid": "second", "alg": "RS256"})
    assert REFUSED in (await go(client, provider)).text  # it was read less than a minute ago
    monkeypatch.setattr("server.adapters.oidc.AGAIN_SECONDS", 0)
    assert (await go(client, provider)).status_code == 303


async def test_the_discovery_is_read_once(client: httpx.AsyncClient, provider: Provider) -> None:
    for _ in range(3):
        assert (await go(fresh(client), provider)).status_code == 303
    assert provider.asked.count("discovery") == provider.asked.count("keys") == 1


@pytest.mark.parametrize("changes", [{"state": "another"}, {"state": ""}])
async def test_another_state_is_refused(client: httpx.AsyncClient, provider: Provider, changes: dict[str, str]) -> None:
    answer = await go(client, provider, **changes)
    assert answer.status_code == 401
    assert "began in another browser" in answer.text
    assert "token" not in provider.asked


async def test_an_answer_for_another_tab_leaves_the_newest_sign_in(
    client: httpx.AsyncClient, provider: Provider
) -> None:
    first, second = [await client.post("/sign-in/provider") for _ in range(2)]
    queries = [provider.authorize(there.headers["location"]) for there in (first, second)]
    assert (await client.get(f"{CALLBACK}?{queries[0]}")).status_code == 401
    assert (await client.get(f"{CALLBACK}?{queries[1]}")).status_code == 303


async def test_an_answer_counts_only_in_the_browser_that_began(client: httpx.AsyncClient, provider: Provider) -> None:
    there = await client.post("/sign-in/provider")
    query = provider.authorize(there.headers["location"])
    other = fresh(client)
    assert (await other.get(f"{CALLBACK}?{query}")).status_code == 401
    await other.post("/sign-in/provider")
    assert (await other.get(f"{CALLBACK}?{query}")).status_code == 401
    assert COOKIE not in other.cookies
    assert (await client.get(f"{CALLBACK}?{query}")).status_code == 303


@pytest.mark.parametrize("issuer", ["https://evil.example", ""])
async def test_an_answer_of_another_provider_is_refused(
    client: httpx.AsyncClient, provider: Provider, issuer: str
) -> None:
    """RFC 9207 section 2.4."""
    provider.metadata = {"authorization_response_iss_parameter_supported": True}
    answer = await go(client, provider, iss=issuer)
    assert REFUSED in answer.text
    assert "token" not in provider.asked


@pytest.mark.parametrize(
    "changes", [{"code": "", "error": "access_denied"}, {"code": ""}, {"code": "x" * 3000}, {"code": "a\nb"}]
)
async def test_no_code_is_one_sentence(client: httpx.AsyncClient, provider: Provider, changes: dict[str, str]) -> None:
    answer = await go(client, provider, **changes)
    assert REFUSED in answer.text
    assert "token" not in provider.asked


async def test_a_reason_of_the_provider_stays_on_its_line_of_the_log(
    client: httpx.AsyncClient, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    forged = "access_denied\r\n2026-02-22T10:30:00Z info server.app\x1b[2J\u2028started"
    await go(client, provider, code="", error=forged)
    lines = [logs.TextFormatter().format(record) for record in caplog.records]
    (line,) = [line for line in lines if "access_denied" in line]
    assert line.isprintable()
    assert "access_denied\\r\\n2026" in line


AWAY_ANSWERS: dict[str, Callable[[], Response]] = {
    "an error": lambda: PlainTextResponse("no", 503),
    "something else": lambda: PlainTextResponse("<html>"),
    "not an object": lambda: JSONResponse([1]),
    "an empty object": lambda: JSONResponse({}),
    "a redirect": lambda: PlainTextResponse("", 302, {"Location": "http://127.0.0.1:1/"}),
}


@pytest.mark.parametrize("kind", AWAY_ANSWERS)
async def test_a_provider_that_answers_nonsense_is_one_sentence(
    client: httpx.AsyncClient, provider: Provider, kind: str
) -> None:
    provider.answer = AWAY_ANSWERS[kind]()
    answer = await client.post("/sign-in/provider")
    assert answer.status_code == 503
    assert AWAY in answer.text
    provider.answer = None
    assert (await client.post("/sign-in/provider")).status_code == 503  # it is left alone for some seconds
    assert provider.asked.count("discovery") == 1


@pytest.mark.parametrize("kind", AWAY_ANSWERS)
async def test_a_provider_that_fails_on_the_way_back_is_one_sentence(
    client: httpx.AsyncClient, provider: Provider, kind: str
) -> None:
    there = await client.post("/sign-in/provider")
    query = provider.authorize(there.headers["location"])
    provider.answer = AWAY_ANSWERS[kind]()
    answer = await client.get(f"{CALLBACK}?{query}")
    assert answer.status_code in (403, 503)
    assert AWAY in answer.text or REFUSED in answer.text


@rows("text", ['{"error": 5}', '{"error": {"a": 1}}', '{"expires_in": 1e400}', "null", '"text"', '{"id_token": 5}'])
async def test_an_answer_to_the_code_that_makes_no_sense_is_one_sentence(
    client: httpx.AsyncClient, provider: Provider, text: str
) -> None:
    there = await client.post("/sign-in/provider")
    query = provider.authorize(there.headers["location"])
    provider.answer = PlainTextResponse(text, media_type="application/json")
    answer = await client.get(f"{CALLBACK}?{query}")
    assert answer.status_code in (403, 503), answer.text
    assert AWAY in answer.text or REFUSED in answer.text


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://evil.example/token"},
        {"userinfo_endpoint": "http://evil.example/me"},
        {"jwks_uri": "file:///x"},
    ],
)
async def test_a_discovery_that_does_not_hold_is_not_used(
    client: httpx.AsyncClient, provider: Provider, metadata: dict[str, object]
) -> None:
    provider.metadata = metadata
    assert (await client.post("/sign-in/provider")).status_code == 503


@pytest.mark.settings(oidc_issuer="http://127.0.0.1:9")
async def test_a_provider_that_is_away_is_one_sentence(client: httpx.AsyncClient, provider: Provider) -> None:
    assert AWAY in (await client.post("/sign-in/provider")).text
    assert (await client.get("/sign-in")).status_code == 200


async def test_the_log_names_the_failure_of_a_provider_that_does_not_answer_in_time(
    client: httpx.AsyncClient, provider: Provider, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = await client.post("/sign-in/provider")
    monkeypatch.setattr("server.adapters.oidc.SECONDS", 0)
    assert AWAY in (await client.get(f"{CALLBACK}?{provider.authorize(begun.headers['location'])}")).text
    assert [vars(record)["reason"] for record in caplog.records if record.message == "unavailable"] == ["TimeoutError"]
