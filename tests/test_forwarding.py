"""The address, Host and scheme that a proxy forwards are used only if TRUSTED_PROXIES names the proxy."""

import time

import httpx
import pytest
from starlette.types import ASGIApp, Scope

from server.settings import Settings
from server.web.forwarding import apply_forwarding, networks
from tests.conftest import Tenant
from tests.tools.conftest import ACCEPT

TRUSTED = networks(["10.0.0.0/8", "::1"])
PROXY, CLIENT = "10.0.0.1", "203.0.113.9"
PUBLIC = "memory.example.com"


def seen(peer: str, headers: list[tuple[str, str]]) -> tuple[str, str, str]:
    """The client, Host and scheme of a request that `peer` sent."""
    raw = [(name.lower().encode(), value.encode()) for name, value in [("host", "upstream"), *headers]]
    scope: Scope = {"type": "http", "client": (peer, 1), "scheme": "http", "headers": raw}
    apply_forwarding(scope, TRUSTED)
    (host,) = [value.decode() for name, value in scope["headers"] if name == b"host"]
    return scope["client"][0], host, scope["scheme"]


X_HEADERS = [("X-Forwarded-For", CLIENT), ("X-Forwarded-Host", PUBLIC), ("X-Forwarded-Proto", "https")]
STANDARD = [("Forwarded", f'for={CLIENT};host={PUBLIC};proto=https;by="_me"')]


@pytest.mark.parametrize("headers", [X_HEADERS, STANDARD], ids=["X-Forwarded", "Forwarded"])
def test_a_trusted_proxy_is_believed_and_nobody_else(headers: list[tuple[str, str]]) -> None:
    assert seen(PROXY, headers) == (CLIENT, PUBLIC, "https")
    assert seen("::1", headers) == (CLIENT, PUBLIC, "https")
    assert seen("::ffff:10.0.0.1", headers) == (CLIENT, PUBLIC, "https")
    assert seen("192.0.2.1", headers) == ("192.0.2.1", "upstream", "http")


@pytest.mark.parametrize(
    ("said", "client"),
    [
        ("for=203.0.113.9:4711", CLIENT),
        ('For="[2001:db8::1]:4711"', "2001:db8::1"),
        ('for="[2001:db8::1]"', "2001:db8::1"),
        ("for=unknown", PROXY),
        ("for=_hidden;proto=https", PROXY),
        ('for=10.0.0.2;host="a,b;c", for=192.0.2.1', "192.0.2.1"),
        (f"for={CLIENT}, for=10.0.0.2", CLIENT),
        (f"for=192.0.2.66, for={CLIENT}, for=10.0.0.2", CLIENT),
        ('for="', PROXY),
        (f'for="evil, for={CLIENT}', CLIENT),
        (f'for="evil\\", for={CLIENT};by="_me"', CLIENT),
        ("", PROXY),
    ],
)
def test_forwarded_is_read_as_its_standard_says(said: str, client: str) -> None:
    assert seen(PROXY, [("Forwarded", said)])[0] == client


@pytest.mark.parametrize(
    ("said", "client"),
    [
        ("203.0.113.9:4711", CLIENT),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        (f"evil, {CLIENT}, 10.0.0.2", CLIENT),
        (f"{CLIENT}, evil", PROXY),
        ("", PROXY),
    ],
)
def test_addresses_may_have_a_port(said: str, client: str) -> None:
    assert seen(PROXY, [("X-Forwarded-For", said)])[0] == client


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded"])
@pytest.mark.parametrize("unit", ['"', '\\"', 'a\\"', "a", "a ", "a=", 'a="', 'a="\\"', ",", "a,", '",', "=", ";"])
@pytest.mark.parametrize("start", ["", '"', 'for="'])
def test_a_long_header_takes_no_longer_than_its_length_asks(name: str, start: str, unit: str) -> None:
    """A client's part of these headers passes through its proxy, and is read before any limit counts it."""
    began = time.process_time()
    seen(PROXY, [(name, start + unit * (60_000 // len(unit)))])
    assert time.process_time() - began < 0.5


def test_the_outermost_trusted_proxy_names_the_host() -> None:
    chain = [("X-Forwarded-For", f"{CLIENT}, 10.0.0.2"), ("X-Forwarded-Host", f"evil.example, {PUBLIC}, inner")]
    assert seen(PROXY, chain)[:2] == (CLIENT, PUBLIC)
    single = [("X-Forwarded-For", f"{CLIENT}, 10.0.0.2"), ("X-Forwarded-Host", PUBLIC)]
    assert seen(PROXY, single)[:2] == (CLIENT, PUBLIC)


@pytest.mark.parametrize(
    ("name", "value"),
    [("X-Forwarded-Host", "evil example"), ("X-Forwarded-Host", "a@b"), ("X-Forwarded-Proto", "gopher")],
)
def test_what_is_no_host_and_no_scheme_changes_nothing(name: str, value: str) -> None:
    assert seen(PROXY, [(name, value)]) == (PROXY, "upstream", "http")


def test_a_client_cannot_add_forwarded_behind_a_proxy_that_sets_the_other_headers() -> None:
    assert seen(PROXY, [("X-Forwarded-For", CLIENT), ("Forwarded", "for=192.0.2.66;host=evil.example")])[:2] == (
        CLIENT,
        "upstream",
    )


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"public_url": f"https://{PUBLIC}", "trusted_proxies": ("10.0.0.0/8",)})


@pytest.fixture
def from_proxy(app: ASGIApp) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(PROXY, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://upstream.example")


@pytest.mark.parametrize("header", [("X-Forwarded-Host", PUBLIC), ("Forwarded", f"host={PUBLIC};proto=https")])
async def test_a_forwarded_host_reaches_mcp_from_a_trusted_proxy_alone(
    client: httpx.AsyncClient, from_proxy: httpx.AsyncClient, alice: Tenant, header: tuple[str, str]
) -> None:
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    headers = {**ACCEPT, **alice.auth, "Host": "upstream.example"}
    assert (await from_proxy.post("/mcp", json=ping, headers=headers)).status_code == 421
    forwarded = {**headers, header[0]: header[1]}
    assert (await from_proxy.post("/mcp", json=ping, headers=forwarded)).status_code == 200
    assert (await client.post("/mcp", json=ping, headers=forwarded)).status_code == 421
