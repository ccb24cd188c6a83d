"""Requirements 37-39: an answer goes only to a registered redirect URI."""

import html

import httpx
import pytest
import sqlalchemy as sa

from server.models import OAuthClient
from server.storage.database import Database
from tests.oauth.conftest import Register
from tests.support.flows import CALLBACK, App, Person, answer_of, is_page
from tests.support.tables import rows

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


async def test_a_refusal_names_the_uri_and_what_is_registered(register: Register, ann: Person) -> None:
    """Before and after sign-in."""
    app = await register(redirect_uris=["http://localhost/callback", "claude://claude.ai/cb"])
    for _ in range(2):
        for uri, words in (
            (
                "http://127.0.0.1:7/callback",
                "127.0.0.1:7/callback is not registered: localhost and 127.0.0.1 are different",
            ),
            ("https://other.example/", "https://other.example/ is not registered for this application"),
            ("http://10.0.0.7/cb", "or connect with an API key"),
            (None, "The request has no redirect_uri"),
        ):
            given = app.request(redirect_uri=uri)
            page = html.unescape((await ann.browser.get("/oauth/authorize", params=given)).text)
            assert words in page
            assert "Registered: http://localhost/callback, claude://claude.ai/cb." in page
        await ann.sign_in()


PRIVATE_SCHEMES = [
    "claude://claude.ai/mcp-auth-callback/sdk", "cursor://anysphere.cursor-mcp/oauth/callback", "com.example.app:/cb",
    "vscode://publisher.extension/cb", "raycast://oauth?package_name=notes", "x-notes:/cb", "Notes://cb", "myapp://",
]  # fmt: skip


@rows("uri", PRIVATE_SCHEMES)
async def test_any_private_scheme_gets_the_answer_after_a_warning(register: Register, ann: Person, uri: str) -> None:
    app = await register(redirect_uris=[uri])
    page = await ann.open(app.request())
    assert f"Any application on this device can open {uri.partition(':')[0]}: links" in page.text
    answer = await ann.decide(page)
    assert answer.headers["location"].startswith(uri + ("&" if "?" in uri else "?") + "code=")
    assert answer_of(answer)["state"] == "a-state"


OTHER_SCHEMES = [
    "javascript", "JavaScript", "data", "vbscript", "file", "filesystem", "blob", "about", "view-source", "ftp", "sftp",
    "ws", "wss", "mailto", "tel", "sms", "chrome", "chrome-extension", "chrome-untrusted", "moz-extension",
    "safari-web-extension", "edge", "devtools", "resource", "jar", "intent", "content", "ms-msdt", "ms-settings",
    "search-ms", "shell", "urn", "magnet", "web+notes", "webcal", "ssh", "irc", "ldap", "x", "1password", "localhost",
    "microsoft-edge", "microsoft-edge-https", "googlechrome", "googlechromes", "firefox", "x-safari-https",
    "opera-http",
]  # fmt: skip


async def test_a_scheme_of_the_web_or_of_scripts_is_refused(client: httpx.AsyncClient) -> None:
    for scheme in OTHER_SCHEMES:
        for uri in (f"{scheme}:cb", f"{scheme}:/cb", f"{scheme}://host/cb"):
            response = await client.post("/oauth/register", json={"redirect_uris": [uri]})
            assert response.status_code == 400, uri


PLAIN = [
    "http://192.168.1.5:3000/cb", "http://10.0.0.7/cb", "http://172.31.0.1/cb", "http://100.64.0.1/cb", "http://nas/cb",
    "http://[fd00::1]:3000/cb", "http://nas.local/cb", "http://box.lan/cb", "http://web.internal/cb",
    "http://tv.home.arpa/cb",
]  # fmt: skip
PUBLIC = [
    "http://app.example/cb", "http://8.8.8.8/cb", "http://172.32.0.1/cb", "http://[2001:db8::1]/cb",
    "http://nas.local.example/cb", "http://134744072/cb", "http://0x08080808/cb", "http://me@nas.local/cb",
    "http://169.254.169.254/cb", "http://0.0.0.0/cb", "http://nas.local:0/cb",
]  # fmt: skip


async def registered(client: httpx.AsyncClient, uris: list[str]) -> list[str]:
    """Return which of them may be registered, each beside one that may."""
    response = await client.post("/oauth/register", json={"redirect_uris": [CALLBACK, *uris]})
    kept: list[str] = response.json()["redirect_uris"]
    return kept[1:]


@pytest.mark.settings(public_url="http://192.168.1.10:8081")
async def test_plain_http_is_for_private_networks_while_this_server_is_in_one(client: httpx.AsyncClient) -> None:
    assert await registered(client, PLAIN) == PLAIN
    assert await registered(client, PUBLIC) == []


@pytest.mark.parametrize(
    "public_url",
    [
        pytest.param(url, marks=pytest.mark.settings(public_url=url))
        for url in ("http://localhost:8081", "https://memory.example.com", "https://nas.local")
    ],
)
async def test_plain_http_elsewhere_is_refused(client: httpx.AsyncClient, public_url: str) -> None:
    assert await registered(client, PLAIN) == [], public_url


@pytest.mark.settings(public_url="http://192.168.1.10:8081")
async def test_the_whole_flow_works_in_a_private_network(register: Register, ann: Person) -> None:
    app = await register(redirect_uris=PLAIN[:1])
    tokens = await app.connect(ann, resource="http://192.168.1.10:8081/mcp")
    assert await app.works(tokens.access)
    assert (await app.refresh(tokens.refresh)).status_code == 200


async def test_a_private_address_ends_with_the_private_server(notes: App, ann: Person, database: Database) -> None:
    """It was registered while PUBLIC_URL was in a private network."""
    with database.write() as session:
        session.execute(sa.update(OAuthClient).values(redirect_uris=PLAIN[:1]))
    page = await ann.open(notes.request(redirect_uri=PLAIN[0]))
    assert is_page(page)
    assert "or connect with an API key" in page.text
