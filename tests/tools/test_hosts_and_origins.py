"""/mcp answers under every address that nobody can rebind, and to the origins that the settings name, with CORS."""

import httpx
import pytest

from server.settings import Settings, SettingsError, read_settings
from tests.conftest import ORIGIN, Tenant
from tests.support.tables import rows
from tests.tools.conftest import ACCEPT

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
PUBLIC = "https://memory.example.com"
EXTENSION = "chrome-extension://abcdefghijklmnop"
APPS = [
    EXTENSION,
    "moz-extension://0b1c",
    "safari-web-extension://0B1C-2D",
    "vscode-webview://0abc",
    "app://obsidian.md",
    "tauri://localhost",
    "capacitor://localhost",
]

LOCAL_HOSTS = [
    "host.docker.internal:8081",
    "server",
    "my_server-1:8081",
    "192.168.1.10:8081",
    "100.64.1.1",
    "8.8.8.8",
    "[fd00::1]:8081",
    "[fe80::1]",
    "nas.local",
    "NAS.Local.",
    "box.lan",
    "box.home.arpa",
    "app.localhost",
    "memory.example.com:8443",
    "MEMORY.example.com",
    "memory.example.com.",
]
FOREIGN_HOSTS = ["evil.example", "notmemory.example.com", "local.example", "192.168.1.10.evil.example", "x.localdomain"]
MALFORMED_HOSTS = ["", "[::1", "a b", "evil.example@localhost", "localhost/", "localhost:port", ".", "localhost,nas"]
MALFORMED_HOSTS += ["localhost:99999", "[::1]:99999", "[::1]evil.example", "[::1].evil.example"]


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """A public server, unless the test chooses other settings."""
    return settings.model_copy(update={"public_url": PUBLIC} | getattr(request, "param", {}))


def chosen(**changes: object) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("settings", [changes], indirect=True)


async def answer_to(client: httpx.AsyncClient, alice: Tenant, **headers: str) -> httpx.Response:
    return await client.post("/mcp", json=PING, headers={**ACCEPT, **alice.auth, "Host": "localhost", **headers})


async def test_hosts_that_nobody_can_rebind_and_the_own_one_are_let_in(
    client: httpx.AsyncClient, alice: Tenant
) -> None:
    assert {host: (await answer_to(client, alice, Host=host)).status_code for host in LOCAL_HOSTS} == dict.fromkeys(
        LOCAL_HOSTS, 200
    )


async def test_any_other_host_gets_421_that_names_the_settings(client: httpx.AsyncClient, alice: Tenant) -> None:
    for host in [*FOREIGN_HOSTS, *MALFORMED_HOSTS]:
        answer = await answer_to(client, alice, Host=host)
        assert answer.status_code == 421, host
        assert "SELFMEMORY_ALLOWED_HOSTS" in answer.json()["detail"]
        assert "SELFMEMORY_PUBLIC_URL" in answer.json()["detail"]


async def test_a_host_or_origin_given_twice_must_be_known_each_time(client: httpx.AsyncClient, alice: Tenant) -> None:
    own = [*ACCEPT.items(), *alice.auth.items()]
    for name, values, status in (
        ("Host", ("localhost", "evil.example"), 421),
        ("Host", ("localhost", "localhost"), 421),
        ("Origin", (PUBLIC, "https://evil.example"), 403),
        ("Origin", (PUBLIC, PUBLIC), 200),
    ):
        others = [] if name == "Host" else [("Host", "localhost")]
        answer = await client.post("/mcp", json=PING, headers=[*own, *others, *((name, value) for value in values)])
        assert answer.status_code == status, (name, values)


@chosen(allowed_hosts=("memory.internal.example", "*.tunnel.example"))
async def test_listed_hosts_are_let_in_and_no_other(client: httpx.AsyncClient, alice: Tenant) -> None:
    asked = ["memory.internal.example:9", "a.tunnel.example", "a.b.tunnel.example", "tunnel.example", "evil.example"]
    assert [(await answer_to(client, alice, Host=host)).status_code for host in asked] == [200, 200, 200, 421, 421]


@chosen(allowed_hosts=("*",))
async def test_a_star_lets_in_every_host(client: httpx.AsyncClient, alice: Tenant) -> None:
    assert (await answer_to(client, alice, Host="any.example")).status_code == 200
    assert (await answer_to(client, alice, Host="")).status_code == 421


async def reads(client: httpx.AsyncClient, alice: Tenant, origin: str) -> bool:
    """Whether a page of the origin may call and read: the preflight, the answer and a refusal all agree."""
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    preflight = await client.options("/mcp", headers={"Host": "localhost", **asked})
    answer = await answer_to(client, alice, Origin=origin)
    challenge = await client.post("/mcp", json=PING, headers={"Host": "localhost", "Origin": origin})
    told = {one.headers.get("access-control-allow-origin") for one in (preflight, answer, challenge)}
    assert all(one.headers["vary"] == "Origin" for one in (preflight, answer, challenge))
    assert not any("access-control-allow-credentials" in one.headers for one in (preflight, answer, challenge))
    if answer.status_code == 200:
        assert (told, challenge.status_code) == ({origin}, 401)
        return True
    assert (told, answer.status_code, challenge.status_code) == ({None}, 403, 403)
    assert "SELFMEMORY_ALLOWED_ORIGINS" in answer.json()["detail"]
    return False


@rows("origin", [PUBLIC, *APPS])
async def test_the_own_origin_extensions_and_desktop_shells_always_read(
    client: httpx.AsyncClient, alice: Tenant, origin: str
) -> None:
    assert await reads(client, alice, origin)


async def test_other_origins_are_refused_by_the_setting(client: httpx.AsyncClient, alice: Tenant) -> None:
    for origin in ("https://evil.example", "null", "http://localhost:5173", "ftp://x", "app", "chrome-extension", ""):
        assert not await reads(client, alice, origin), origin


@chosen(public_url=ORIGIN)
async def test_on_loopback_every_loopback_origin_reads(client: httpx.AsyncClient, alice: Tenant) -> None:
    for origin in ("http://localhost:5173", "http://127.0.0.1:6274", "https://[::1]:3000", "http://app.localhost"):
        assert await reads(client, alice, origin), origin
    for origin in ("http://192.168.1.10:8081", "http://localhost.evil.example", "null", "localhost:5173"):
        assert not await reads(client, alice, origin), origin


@chosen(allowed_origins=("null", "obsidian://vault", "https://inspector.example"))
async def test_listed_origins_of_any_scheme_read(client: httpx.AsyncClient, alice: Tenant) -> None:
    assert await reads(client, alice, "null")
    assert await reads(client, alice, "obsidian://vault")
    assert await reads(client, alice, "https://inspector.example")
    assert not await reads(client, alice, "https://evil.example")


@chosen(allowed_origins=("*",))
async def test_a_star_lets_every_origin_read(client: httpx.AsyncClient, alice: Tenant) -> None:
    assert await reads(client, alice, "https://any.example")
    assert await reads(client, alice, "null")


@chosen(public_url=ORIGIN, allowed_origins=("*", "null"))
@pytest.mark.parametrize("origin", ["https://evil.example", "null", EXTENSION, "http://localhost:5173"])
async def test_what_is_allowed_without_a_cookie_may_send_no_form(client: httpx.AsyncClient, origin: str) -> None:
    form = {"email": "ann@example.com", "password": "a fine long password"}
    assert (await client.post("/sign-up", data=form, headers={"Origin": origin})).status_code == 403


NEVER_SENT = [
    ("public_url", "https://münchen.example"),
    ("allowed_hosts", "münchen.example"),
    ("allowed_hosts", "*.münchen.example"),
    ("allowed_origins", "https://münchen.example"),
]


def test_a_name_that_no_browser_sends_stops_the_start() -> None:
    """Browsers send names with other letters in punycode, and no name begins with a dot."""
    for name, value in NEVER_SENT:
        with pytest.raises(SettingsError, match=f"SELFMEMORY_{name.upper()}.*https://xn--"):
            read_settings(env_file=None, secret_key="s" * 32, **{name: value})
    with pytest.raises(SettingsError, match=r"SELFMEMORY_ALLOWED_HOSTS: write hosts like .* or \*\.example\.com"):
        read_settings(env_file=None, allowed_hosts=".example.com")
