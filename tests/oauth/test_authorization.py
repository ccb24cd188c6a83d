"""Requirements C8-C10 and 36-52: the authorization request and its answer."""

import re
from urllib.parse import urlencode

import pytest
from sqlmodel import select

from server.models import AuthorizationCode, OAuthGrant
from server.storage.database import Database
from tests.oauth.conftest import Register
from tests.support.flows import (
    EVERYDAY,
    ORIGIN,
    RESOURCE,
    App,
    Person,
    answer_of,
    error_of,
    form_of,
    is_page,
    tokens_of,
)
from tests.support.tables import rows

SCOPES = {
    None: EVERYDAY,
    "": EVERYDAY,
    "openid email profile": EVERYDAY,
    "offline_access": EVERYDAY,
    "memories:read": "memories:read",
    "memories:write": EVERYDAY,
    "memories:read offline_access": "memories:read",
    "memories:read admin \u00e9 memories:everything": "memories:read",
}


async def test_c08_known_scopes_are_granted_and_named_in_the_answer(notes: App, ann: Person) -> None:
    assert {asked: (await notes.connect(ann, scope=asked)).scope for asked in SCOPES} == SCOPES


async def test_c09_every_spelling_of_our_resource_is_accepted(notes: App, ann: Person) -> None:
    for resource in (None, RESOURCE, f"{RESOURCE}/", RESOURCE.replace("http://localhost", "HTTP://LOCALHOST")):
        assert await notes.works((await notes.connect(ann, resource=resource)).access), resource


async def test_c09_the_same_resource_may_be_given_twice(notes: App, ann: Person) -> None:
    twice = [("resource", RESOURCE), ("resource", f"{RESOURCE}/")]
    code = await ann.allow([*notes.request(resource=None).items(), *twice])
    assert await notes.works(tokens_of(await notes.redeem(code)).access)


async def test_c10_050_the_state_comes_back_unchanged(notes: App, ann: Person) -> None:
    for state in ("x", "%2B/=&+ #?", "é\u4e16\U0001f642", "a" * 4096, "+%&=#? \u00e9" * 512, "'\"<>\\{}|", "%00%0d%0a"):
        page = await ann.open(notes.request(state=state))
        assert answer_of(await ann.decide(page))["state"] == state
        refused = answer_of(await ann.open(notes.request(state=state, response_type="token")))
        assert (refused["state"], refused["iss"]) == (state, ORIGIN)


@rows("name", ["state", "redirect_uri", "client_id", "scope", "unknown"])
async def test_050_control_characters_are_refused(notes: App, ann: Person, name: str) -> None:
    for broken in ("a\0b", "a\r\nLocation: https://evil.example", "\x7f"):
        assert is_page(await ann.open(notes.request() | {name: broken})), broken


async def test_050_parameters_that_are_not_utf8_are_refused(notes: App, ann: Person) -> None:
    query = urlencode(notes.request(state=None)) + "&state=%ff%fe"
    assert is_page(await ann.browser.get(f"/oauth/authorize?{query}"))


async def test_036_an_unknown_client_gets_a_page(notes: App, ann: Person) -> None:
    for _ in range(2):  # before and after sign-in
        for client_id in (None, "", "client_unknown", "client_'\"\u00e9", "../x", "x" * 5000):
            asked = notes.request(client_id=client_id)
            assert is_page(await ann.browser.get("/oauth/authorize", params=asked)), client_id
        await ann.sign_in()


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
async def test_036_037_a_client_or_redirect_uri_given_twice_gets_a_page(notes: App, ann: Person, name: str) -> None:
    for response_type in ("code", "token"):
        given = notes.request(response_type=response_type)
        twice = [*given.items(), (name, given[name])]
        for _ in range(2):
            assert is_page(await ann.browser.get("/oauth/authorize?" + urlencode(twice)))
            await ann.sign_in()


REFUSALS: list[tuple[dict[str, str | None], str]] = [
    ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    ({"code_challenge": None}, "invalid_request"),
    ({"code_challenge_method": "plain"}, "invalid_request"),
    ({"code_challenge_method": None}, "invalid_request"),
    ({"code_challenge_method": "s256"}, "invalid_request"),
    ({"code_challenge_method": "S512"}, "invalid_request"),
    ({"code_challenge": "x" * 42}, "invalid_request"),
    ({"code_challenge": "x" * 44}, "invalid_request"),
    ({"code_challenge": "x" * 42 + "="}, "invalid_request"),
    ({"code_challenge": "x" * 42 + "~"}, "invalid_request"),
    ({"code_challenge": "x" * 42 + "\u00e9"}, "invalid_request"),
    ({"response_type": None}, "unsupported_response_type"),
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"response_type": "code token"}, "unsupported_response_type"),
    ({"response_type": "id_token"}, "unsupported_response_type"),
    ({"response_type": "\"'\u00e9"}, "unsupported_response_type"),
    ({"resource": "https://other.example/mcp"}, "invalid_target"),
    ({"resource": f"{ORIGIN}/other"}, "invalid_target"),
    ({"resource": ORIGIN}, "invalid_target"),
    ({"resource": "/mcp"}, "invalid_target"),
    ({"resource": "mcp"}, "invalid_target"),
    ({"resource": f"{RESOURCE}#x"}, "invalid_target"),
    ({"resource": f"{RESOURCE}#"}, "invalid_target"),
    ({"resource": "http://[::1/mcp"}, "invalid_target"),
    ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
    ({"request_uri": "https://canary.example/request"}, "request_uri_not_supported"),
]


@pytest.mark.parametrize("asking", ["notes", "backend"], indirect=True)
async def test_040_041_042_043_047_048_the_client_gets_the_error(asking: App, ann: Person) -> None:
    """For public and confidential clients, the answer has one error, the state and the issuer, and no code."""
    for changed, error in REFUSALS:
        told = answer_of(await ann.open(asking.request(**changed)))
        assert told.pop("error_description", "").isascii(), changed
        assert told == {"error": error, "state": "a-state", "iss": ORIGIN}, changed


@pytest.fixture
def asking(request: pytest.FixtureRequest) -> App:
    app: App = request.getfixturevalue(request.param)
    return app


async def test_042_043_a_repeated_parameter_is_an_error_for_the_client(notes: App, ann: Person) -> None:
    given = notes.request(x="1")
    for name in ("response_type", "scope", "state", "code_challenge", "code_challenge_method", "x"):
        told = answer_of(await ann.open([*given.items(), (name, given[name])]))
        assert told["error"] == "invalid_request", name
        assert "code" not in told, name


async def test_047_two_different_resources_are_refused(notes: App, ann: Person) -> None:
    told = answer_of(await ann.open([*notes.request().items(), ("resource", "https://other.example")]))
    assert told["error"] == "invalid_target"


async def test_044_the_answer_is_code_state_and_issuer(notes: App, ann: Person) -> None:
    response = await ann.decide(await ann.open(notes.request()))
    assert response.status_code in (302, 303)
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert set(answer_of(response)) == {"code", "state", "iss"}
    assert set(answer_of(await ann.decide(await ann.open(notes.request(state=None))))) == {"code", "iss"}


async def test_045_codes_are_long_and_unique(notes: App, ann: Person) -> None:
    page = await ann.open(notes.request())
    codes = {answer_of(await ann.decide(page))["code"] for _ in range(20)}
    assert len(codes) == 20
    bodies = [code.removeprefix("sm_co_") for code in codes]
    assert all(re.fullmatch(r"[0-9A-Za-z]{32}", body) for body in bodies)
    assert all(len({body[place] for body in bodies}) > 3 for place in range(32))


async def test_046_unknown_parameters_change_nothing(notes: App, ann: Person) -> None:
    code = await ann.allow(notes.request() | {"nonce": "n", "prompt": "none", "display": "popup", "unknown": "1"})
    assert tokens_of(await notes.redeem(code)).scope == EVERYDAY
    assert (await ann.browser.post("/oauth/authorize", data=notes.request())).status_code == 405


async def test_049_before_sign_in_nothing_redirects_to_the_client(notes: App, ann: Person) -> None:
    for changed in ({}, *(given for given, _ in REFUSALS)):
        response = await ann.browser.get("/oauth/authorize", params=notes.request(**changed))
        assert response.status_code == 303
        assert response.headers["location"].startswith("/sign-in?next=")
        assert "error" not in response.headers["location"]


async def test_051_denying_grants_nothing(notes: App, ann: Person, database: Database) -> None:
    told = answer_of(await ann.decide(await ann.open(notes.request()), "deny"))
    assert told == {"error": "access_denied", "state": "a-state", "iss": ORIGIN}
    with database.read() as session:
        assert session.exec(select(AuthorizationCode)).all() == []
        assert session.exec(select(OAuthGrant)).all() == []


async def test_052_after_two_answers_one_code_is_valid(notes: App, ann: Person) -> None:
    page = await ann.open(notes.request())
    first, second = [answer_of(await ann.decide(page))["code"] for _ in range(2)]
    assert error_of(await notes.redeem(first)) == "invalid_grant"
    assert (await notes.redeem(second)).status_code == 200
    assert is_page(await ann.decide(page), 409)
    assert is_page(await ann.decide(page, "deny"), 409)


async def test_052_denying_after_allowing_revokes_the_code(notes: App, ann: Person) -> None:
    page = await ann.open(notes.request())
    code = answer_of(await ann.decide(page))["code"]
    assert answer_of(await ann.decide(page, "deny"))["error"] == "access_denied"
    assert error_of(await notes.redeem(code)) == "invalid_grant"


async def test_c18_two_flows_in_one_browser_do_not_mix(register: Register, ann: Person, database: Database) -> None:
    """Both begin before sign-in; what a client asked for travels in the address of the sign-in page."""
    one, other = await register(client_name="One"), await register(client_name="Other")
    first = await ann.browser.get("/oauth/authorize", params=one.request(state="first" * 400))
    second = await ann.browser.get("/oauth/authorize", params=other.request(state="second", scope="memories:read"))
    pages = [await ann.follow(response) for response in (first, second)]
    assert ["One" in page.text for page in pages] == [True, False]
    assert ["Other" in page.text for page in pages] == [False, True]
    answers = [answer_of(await ann.decide(page)) for page in reversed(pages)]
    assert [answer["state"] for answer in answers] == ["second", "first" * 400]
    assert tokens_of(await other.redeem(answers[0]["code"])).scope == "memories:read"
    assert tokens_of(await one.redeem(answers[1]["code"])).scope == EVERYDAY


async def test_c18_the_request_survives_sign_up(notes: App, ann: Person) -> None:
    begun = await ann.browser.get("/oauth/authorize", params=notes.request())
    sign_in = await ann.browser.get(begun.headers["location"])
    link = re.search(r'href="(/sign-up[^"]*)"', sign_in.text)
    assert link
    path = link[1].replace("&amp;", "&")
    shown = await ann.browser.get(path)
    fields = form_of(shown).fields | {"email": "new@example.com", "name": "New", "password": "a fine long password"}
    page = await ann.follow(await ann.browser.post(form_of(shown).action or path, data=fields))
    assert page.status_code == 200
    assert form_of(page).options["decision"] == ["allow", "deny"]
