"""A refusal says what to do: to the client in `error_description`, to the person on the page."""

import base64
import html

import httpx
import pytest

from tests.oauth.conftest import Register
from tests.support.flows import EVERYDAY, ORIGIN, RESOURCE, App, Person, answer_of, basic, error_of, tokens_of


def hint_of(response: httpx.Response, status: int = 400) -> str:
    error_of(response, status)
    return str(response.json()["error_description"])


async def test_the_error_about_a_wrong_resource_names_the_right_one(notes: App, ann: Person) -> None:
    code = await ann.allow(notes.request())
    for wrong in ("https://localhost:8081/mcp", ORIGIN, f"{ORIGIN}/MCP", "https://other.example/mcp", "//[", "mcp"):
        assert RESOURCE in answer_of(await ann.open(notes.request(resource=wrong)))["error_description"]
        assert RESOURCE in hint_of(await notes.redeem(code, resource=wrong))


async def test_a_resource_that_is_surely_ours_is_taken(notes: App, ann: Person) -> None:
    for same in (f"{RESOURCE}/", f"{RESOURCE}//", "HTTP://LocalHost:8081/mcp", "http://LOCALHOST:8081/mcp/"):
        tokens = await notes.connect(ann, resource=same)
        assert (await notes.refresh(tokens.refresh, resource=same)).status_code == 200


@pytest.mark.settings(public_url="http://nas.local")
async def test_a_resource_may_name_the_default_port(register: Register, ann: Person) -> None:
    app = await register(redirect_uris=["https://app.example/cb"])
    assert (await ann.open(app.request(resource="http://nas.local:80/mcp/"))).status_code == 200


async def test_the_error_about_a_missing_proof_key_names_s256(notes: App, ann: Person) -> None:
    for changed in ({"code_challenge": None, "code_challenge_method": None}, {"code_challenge_method": "plain"}):
        assert "S256" in answer_of(await ann.open(notes.request(**changed)))["error_description"]


async def test_a_missing_verifier_is_named(notes: App, ann: Person) -> None:
    code = await ann.allow(notes.request())
    assert "code_verifier" in hint_of(await notes.redeem(code, code_verifier=None))


@pytest.mark.parametrize("client_id", ["client_gone", "https://app.example/client.json"])
async def test_an_unknown_client_is_told_to_register_again(notes: App, ann: Person, client_id: str) -> None:
    gone = App(notes.http, client_id)
    assert "Register again" in hint_of(await gone.refresh("sm_rt_x"), 401)


async def test_a_person_with_an_unknown_client_is_told_what_to_do(notes: App, ann: Person) -> None:
    for _ in range(2):
        page = await ann.browser.get("/oauth/authorize", params=notes.request(client_id="client_gone"))
        assert "remove this server from the application and add it back" in html.unescape(page.text)
        await ann.sign_in()


async def test_a_missing_client_id_is_named(notes: App, ann: Person) -> None:
    given = {"grant_type": "refresh_token", "refresh_token": "sm_rt_x"}
    for path in ("token", "revoke", "introspect"):
        assert "client_id is missing" in hint_of(await notes.http.post(f"/oauth/{path}", data=given), 401)
    in_header = await notes.http.post("/oauth/token", data=given, headers=basic("", "x"))
    assert "base64 of client_id:client_secret" in hint_of(in_header, 401)
    for _ in range(2):
        page = await ann.browser.get("/oauth/authorize", params=notes.request(client_id=None))
        assert "its request has no client_id" in html.unescape(page.text)
        await ann.sign_in()


async def test_the_error_about_an_unsupported_type_names_the_right_one(notes: App, ann: Person) -> None:
    for wrong in ("token", None):
        told = answer_of(await ann.open(notes.request(response_type=wrong)))
        assert told["error_description"] == "The response_type must be code."
    for wrong in ("password", "client_credentials", "implicit", "'\u00fc"):
        refused = await notes.post("/oauth/token", {"grant_type": wrong})
        assert hint_of(refused) == "The grant_type must be authorization_code or refresh_token."


async def test_the_error_about_a_json_body_names_the_content_type(notes: App) -> None:
    for path in ("token", "revoke", "introspect"):
        response = await notes.http.post(f"/oauth/{path}", json={"grant_type": "refresh_token"})
        assert hint_of(response) == "Send the body as application/x-www-form-urlencoded, not as JSON."


async def test_the_error_names_the_client_s_way_to_authenticate(notes: App, backend: App) -> None:
    assert backend.secret
    given = {"grant_type": "refresh_token", "refresh_token": "sm_rt_x", "client_id": backend.client_id}
    without = await notes.http.post("/oauth/token", data=given)
    assert hint_of(without, 401) == "This client authenticates with client_secret_basic or client_secret_post."
    assert hint_of(await notes.refresh("sm_rt_x", client_secret="x"), 401) == "This client authenticates with none."
    wrong = await notes.http.post("/oauth/token", data=given, headers=basic(backend.client_id, "x"))
    assert hint_of(wrong, 401) == "The client_secret is wrong."
    malformed = await notes.http.post("/oauth/token", data=given, headers={"Authorization": "Basic !"})
    assert "base64 of client_id:client_secret" in hint_of(malformed, 401)


async def test_a_public_client_may_send_its_id_in_the_header(notes: App, ann: Person) -> None:
    """With an empty secret, without padding, or beside an access token that it adds to every request."""
    raw = base64.b64encode(f"{notes.client_id}:".encode()).decode()
    for scheme, encoded in (("Basic", raw), ("basic", raw.rstrip("=")), ("BASIC", f" {raw}"), ("Bearer", "sm_at_old")):
        tokens = await notes.connect(ann)
        given = {"grant_type": "refresh_token", "refresh_token": tokens.refresh, "client_id": notes.client_id}
        answer = await notes.http.post("/oauth/token", data=given, headers={"Authorization": f"{scheme} {encoded}"})
        assert answer.status_code == 200, scheme


OPENID = {"prompt": "consent", "nonce": "n", "login_hint": "ann@example.com", "max_age": "0", "display": "popup",
          "ui_locales": "de", "id_token_hint": "x", "acr_values": "1", "claims": "{}", "access_type": "offline",
          "audience": "x", "response_mode": "form_post", "application_type": "native"}  # fmt: skip


async def test_parameters_and_scopes_of_openid_do_no_harm(notes: App, ann: Person) -> None:
    scope = "openid profile email address phone offline_access memories:read memories:write mcp:tools"
    code = await ann.allow(notes.request(scope=scope, **OPENID))
    tokens = tokens_of(await notes.redeem(code, scope=scope))
    assert tokens.scope == EVERYDAY
    asked = "openid profile email address phone offline_access memories:read memories:write"
    assert tokens_of(await notes.refresh(tokens.refresh, scope=asked)).scope == EVERYDAY
