"""Requirements 37-39: an answer goes only to a registered redirect URI."""

from tests.oauth.conftest import Register
from tests.support.flows import CALLBACK, App, Person, is_page

SAFE = "https://app.example/a/callback?keep=%20this&flag"
ELSEWHERE = [
    "https://evil.example/", "https://app.example/A/callback?keep=%20this&flag",
    "https://app.example/a/callback/?keep=%20this&flag", "https://app.example/a/callback",
    "https://app.example/a/callback?keep=%20this&flag&x=1", "https://app.example/%61/callback?keep=%20this&flag",
    "https://app.example/b/../a/callback?keep=%20this&flag", "https://me@app.example/a/callback?keep=%20this&flag",
    "https://app.example:444/a/callback?keep=%20this&flag", "https://app.example:443/a/callback?keep=%20this&flag",
    "https://app.example/a/callback/sub?keep=%20this&flag", "https://sub.app.example/a/callback?keep=%20this&flag",
    "http://app.example/a/callback?keep=%20this&flag", "https://\u0430pp.example/a/callback?keep=%20this&flag",
    "HTTPS://app.example/a/callback?keep=%20this&flag", "https://app.example/a/callback?keep=%20this&flag#x",
    "javascript:alert(1)", "https://app.example.evil.example/a/callback?keep=%20this&flag", "/a/callback",
]  # fmt: skip


async def test_037_038_only_the_registered_redirect_uri_is_accepted(register: Register, ann: Person) -> None:
    app = await register(redirect_uris=[SAFE])
    for uri in ELSEWHERE:
        for response_type in ("code", "token", "'\"\u00e9"):
            assert is_page(await ann.open(app.request(redirect_uri=uri, response_type=response_type))), uri


async def test_037_with_several_redirect_uris_the_request_must_name_one(register: Register, ann: Person) -> None:
    app = await register(redirect_uris=[SAFE, CALLBACK])
    assert is_page(await ann.open(app.request(redirect_uri=None)))
    alone = await register(redirect_uris=[SAFE])
    assert (await ann.open(alone.request(redirect_uri=None))).status_code == 200


async def test_038_the_registered_query_is_kept_unchanged(register: Register, ann: Person) -> None:
    app = await register(redirect_uris=[SAFE])
    answer = await ann.decide(await ann.open(app.request()))
    assert answer.headers["location"].startswith(f"{SAFE}&code=")
    refused = await ann.open(app.request(response_type="token"))
    assert refused.headers["location"].startswith(f"{SAFE}&error=")


LOOPBACK_ELSEWHERE = [
    "http://localhost:7777/callback", "http://[::1]:7777/callback", "http://127.0.0.1:7777/Callback",
    "http://127.0.0.1:7777/callback/", "http://127.0.0.1:7777/callback?x=1", "http://127.0.0.1:0/callback",
    "http://127.0.0.1:65536/callback", "http://127.0.0.1:http/callback", "http://127.0.0.1:/callback",
    "https://127.0.0.1:7777/callback", "http://127.0.0.1:80@evil.example/callback", "http://127.1:7777/callback",
    "http://127.0.0.2:7777/callback",
]  # fmt: skip


async def test_039_of_a_loopback_address_only_the_port_may_differ(notes: App, ann: Person) -> None:
    for uri in LOOPBACK_ELSEWHERE:
        assert is_page(await ann.open(notes.request(redirect_uri=uri))), uri
