"""Requirements C7 and 22-35: client metadata documents, and requests that they must not cause."""

import asyncio
import ipaddress
import socket
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from oauth import client_documents
from oauth.client_documents import DocumentRefused
from server.settings import Settings
from tests.support.flows import CALLBACK, PLAIN, App, Person, app_at, is_page
from tests.support.hosts import Host, Page
from tests.support.tables import rows
from tests.support.vendors import DOCUMENTS, JSON, Vendor

pytestmark = pytest.mark.settings(cimd_allow_private=True)


@rows("vendor", DOCUMENTS)
async def test_c07_034_documents_of_known_clients_are_accepted(
    host: Host, client: httpx.AsyncClient, ann: Person, vendor: Vendor
) -> None:
    """ChatGPT's too, which prefers a signed assertion but also offers `none`."""
    app = app_at(client, host.publish(vendor.document_url, vendor.metadata), vendor.redirect_uri)
    assert await app.works((await app.connect(ann, scope=vendor.scope)).access)


async def test_022_the_page_names_the_hosts_of_document_and_redirect_uri(
    host: Host, client: httpx.AsyncClient, ann: Person
) -> None:
    uri = "https://app.example/callback"
    app = app_at(client, host.publish("/client", PLAIN | {"redirect_uris": [uri]}), uri)
    page = await ann.open(app.request())
    assert page.status_code == 200
    assert urlsplit(app.client_id).netloc in page.text
    assert "app.example" in page.text


async def test_023_the_document_must_contain_its_exact_url(host: Host, client: httpx.AsyncClient, ann: Person) -> None:
    for wrong in ("/Client", "/client/", "/client?a=b", "/clien", "/client%20"):
        url = host.publish("/client", PLAIN | {"client_id": host.url(wrong)})
        assert is_page(await ann.open(app_at(client, url).request())), wrong


NO_CLIENTS = [
    "http://localhost:{port}/client",
    "https://localhost:{port}",
    "https://localhost:{port}/",
    "https://localhost:{port}/a/../client",
    "https://localhost:{port}/a/%2e%2e/client",
    "https://localhost:{port}/./client",
    "https://localhost:{port}/client#part",
    "https://me:pass@localhost:{port}/client",
    "https://localhost:{port}/cli ent",
    "https://localhost:{port}/" + "x" * 1000,
    "https://:{port}/client",
    "https://localhost:port/client",
    "https://[::1/client",
]


async def test_024_an_invalid_client_url_is_refused_without_a_fetch(
    host: Host, client: httpx.AsyncClient, ann: Person
) -> None:
    for _ in range(2):  # before and after sign-in
        for url in NO_CLIENTS:
            app = app_at(client, url.format(port=host.port))
            assert is_page(await ann.browser.get("/oauth/authorize", params=app.request())), url
        await ann.sign_in()
    assert host.connections == 0


INSIDE = [
    "127.0.0.1", "localhost", "[::1]", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "[fc00::1]", "[fe80::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "2130706433", "0x7f000001",
    "0177.0.0.1", "localhost.", "db", "redis",
]  # fmt: skip


@pytest.mark.settings(cimd_allow_private=False)
async def test_025_r22_private_hosts_are_never_contacted(client: httpx.AsyncClient, ann: Person, host: Host) -> None:
    for name in INSIDE:
        assert is_page(await ann.open(app_at(client, f"https://{name}/client").request())), name
    assert host.connections == 0


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True), ("2606:2800:21f:cb07::1", True), ("127.0.0.1", False), ("10.1.2.3", False),
        ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False), ("224.0.0.1", False), ("::1", False),
        ("fe80::1", False), ("fc00::1", False), ("::ffff:10.0.0.1", False), ("64:ff9b::7f00:1", False),
        ("64:ff9b:1::7f00:1", False), ("::127.0.0.1", False), ("fec0::1", False), ("5f00::1", False),
        ("2002:7f00:1::", False), ("2001:0:1::1", False), ("255.255.255.255", False), ("::", False),
    ],
)  # fmt: skip
def test_025_addresses_are_recognized_as_private_or_public(address: str, public: bool) -> None:
    assert client_documents.is_public(ipaddress.ip_address(address)) is public


@pytest.mark.settings(cimd_allow_private=False)
async def test_032_other_ports_are_not_contacted(host: Host, client: httpx.AsyncClient, ann: Person) -> None:
    assert is_page(await ann.open(app_at(client, f"https://client.example:{host.port}/client").request()))
    assert host.connections == 0


async def test_026_r22_a_redirect_is_not_followed(host: Host, client: httpx.AsyncClient, ann: Person) -> None:
    target = host.publish("/target", PLAIN)
    for status in ("301 Moved", "302 Found", "307 Temporary Redirect"):
        host.pages["/client"] = Page(b"", status, {"Location": target, "Content-Type": "application/json"})
        assert is_page(await ann.open(app_at(client, host.url("/client")).request()))
    assert {path for path, _ in host.asked} == {"/client"}


@pytest.mark.parametrize(
    "page",
    [
        Page(b"{}", "404 Not Found"),
        Page(b"{}", "500 Oops"),
        Page(b"{}", "204 No Content"),
        Page(b"<html>", headers={"Content-Type": "text/html"}),
        Page(b"{}", headers={"Content-Type": "text/plain"}),
        Page(b"{}", headers={}),
        Page(b"{"),
        Page(b"[]"),
        Page(b"[" * 60_000),
        Page(b"\xff"),
        Page(b"x" * 64_001),
        Page(b"x" * 1000, endless=True),
        Page(b"x", headers={"Content-Type": "application/json", "Content-Encoding": "gzip"}),
    ],
    ids=range(13),
)
async def test_027_an_invalid_document_is_refused(
    host: Host, client: httpx.AsyncClient, ann: Person, page: Page
) -> None:
    host.pages["/client"] = page
    began = time.monotonic()
    assert is_page(await ann.open(app_at(client, host.url("/client")).request()))
    assert time.monotonic() - began < 5


async def test_027_a_document_that_is_too_large_is_refused(host: Host, client: httpx.AsyncClient, ann: Person) -> None:
    for size, status in ((60_000, 200), (64_000, 400)):
        url = host.publish(f"/{size}", PLAIN | {"padding": "x" * size})
        assert (await ann.open(app_at(client, url).request())).status_code == status


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uris": []},
        {"redirect_uris": None},
        {"redirect_uris": "https://a.example/"},
        {"redirect_uris": ["javascript:alert(1)"]},
        {"client_name": "a\0b"},
    ],
)
async def test_027_a_document_without_a_redirect_uri_is_refused(
    host: Host, client: httpx.AsyncClient, ann: Person, changed: JSON
) -> None:
    url = host.publish("/client", PLAIN | changed)
    assert is_page(await ann.open(app_at(client, url).request()))


async def test_c15_027_a_slow_host_delays_no_other_request(
    host: Host, client: httpx.AsyncClient, ann: Person, ben: Person, notes: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_documents, "TIMEOUT_SECONDS", 1)
    host.pages["/client"] = Page(b"", drip=True)
    await ann.sign_in()
    await ben.sign_in()
    slow = asyncio.create_task(ann.open(app_at(client, host.url("/client")).request()))
    await host.was_asked.wait()
    assert (await ben.open(notes.request())).status_code == 200
    assert not slow.done()
    assert is_page(await slow)


@pytest.mark.parametrize(
    "changed",
    [
        {"client_secret": "s"},
        {"client_secret_expires_at": 0},
        {"token_endpoint_auth_method": "client_secret_basic"},
        {"token_endpoint_auth_methods_supported": ["none", "client_secret_post"]},
        {"jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"token_endpoint_auth_method": None, "token_endpoint_auth_methods_supported": ["private_key_jwt"]},
    ],
)
async def test_028_a_document_with_a_secret_is_refused(
    host: Host, client: httpx.AsyncClient, ann: Person, changed: JSON
) -> None:
    assert is_page(await ann.open(app_at(client, host.publish("/client", PLAIN | changed)).request()))


async def test_keys_that_are_no_list_are_ignored(host: Host, client: httpx.AsyncClient, ann: Person) -> None:
    app = app_at(client, host.publish("/client", PLAIN | {"jwks": {"keys": 5}}))
    assert (await ann.open(app.request())).status_code == 200


async def test_029_only_the_documents_redirect_uris_are_allowed(
    host: Host, client: httpx.AsyncClient, ann: Person
) -> None:
    app = app_at(client, host.publish("/client", PLAIN), "https://evil.example/cb")
    assert is_page(await ann.open(app.request()))


async def test_031_the_connection_goes_to_the_checked_address(
    host: Host, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is resolved once, so that a second answer cannot differ. The certificate must still match the name."""
    answers = [[ipaddress.ip_address("127.0.0.1")], [ipaddress.ip_address("127.0.0.2")]]
    asked = []

    async def resolve(name: str, port: int) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
        asked.append(name)
        return [*answers[len(asked) - 1]]

    monkeypatch.setattr(client_documents, "resolve", resolve)
    url = host.url("/client", "client.example")
    host.pages["/client"] = Page(b'{"client_id": "%s", "redirect_uris": ["%s"]}' % (url.encode(), CALLBACK.encode()))
    assert (await client_documents.fetch(url, settings)).description.redirect_uris == [CALLBACK]
    assert asked == ["client.example"]
    assert host.asked[0][1]["host"] == f"client.example:{host.port}"


async def test_a_name_that_is_no_punycode_is_refused_like_any_other(
    host: Host, client: httpx.AsyncClient, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolve(_name: str, _port: int) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
        return [ipaddress.ip_address("127.0.0.1")]

    monkeypatch.setattr(client_documents, "resolve", resolve)
    for name in ("xn--a.example", "xn--.example", "xn--mnchen-3ya.example"):
        assert is_page(await ann.open(app_at(client, host.url("/client", name)).request())), name


async def test_names_whose_lookup_hangs_take_no_thread_of_other_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system's resolver may take half a minute, and nothing can end it."""
    answered = threading.Event()

    def hang(*_args: object, **_more: object) -> list[object]:
        answered.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    lookups = [asyncio.create_task(client_documents.resolve("slow.example", 443)) for _ in range(60)]
    try:
        await asyncio.sleep(0.05)
        assert await asyncio.wait_for(asyncio.to_thread(len, "other work"), 5) == 10
    finally:
        answered.set()
        await asyncio.gather(*lookups)


def test_031_a_name_with_one_private_address_is_refused() -> None:
    mixed = [ipaddress.ip_address("93.184.215.14"), ipaddress.ip_address("10.0.0.1")]
    with pytest.raises(DocumentRefused):
        client_documents.require_public(mixed, allow_private=False)


async def test_032_the_fetch_and_the_error_page_reveal_little(
    host: Host, client: httpx.AsyncClient, ann: Person, certificates: tuple[Path, Path]
) -> None:
    host.pages["/client"] = Page(b'{"secret": "inside"}')
    refused = await ann.open(app_at(client, host.url("/client")).request())
    unreachable = await ann.open(app_at(client, "https://localhost:1/client").request())
    unknown = await ann.open(app_at(client, "https://nowhere.invalid/client").request())
    assert refused.text == unreachable.text == unknown.text
    assert "inside" not in refused.text
    headers = host.asked[0][1]
    assert headers["user-agent"] == client_documents.USER_AGENT.lower()
    assert not {"cookie", "authorization", "referer", "origin"} & set(headers)


async def test_035_strangers_cannot_make_the_server_fetch(host: Host, client: httpx.AsyncClient) -> None:
    app = app_at(client, host.publish("/client", PLAIN))
    response = await client.get("/oauth/authorize", params=app.request())
    assert urlsplit(response.headers["location"]).path == "/sign-in"
    assert host.connections == 0
