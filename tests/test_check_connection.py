"""`check-connection` finds what proxies get wrong, names it in one line, and exits with 1."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, RedirectResponse, Response

from server.__main__ import main
from server.app import create_app
from server.commands.check_connection import PROGRAMS, documents
from server.settings import read_settings
from tests.support.fakes import WordEmbedder
from tests.support.nginx import documented, running_nginx
from tests.support.proxy import Answer, Proxy
from tests.support.served import listening, served, url_of
from tests.support.started import running

PAGE = HTMLResponse("<h1>Welcome to the home page</h1>")


@dataclass
class Checked:
    """What one run printed: the message of each check that failed, by its name."""

    code: int
    out: str
    err: str

    @property
    def wrong(self) -> dict[str, str]:
        failed = [line.removeprefix("WRONG  ") for line in self.out.splitlines() if line.startswith("WRONG  ")]
        return {
            name: line.removeprefix(name).strip() for line in failed for name in NAMES if line.startswith(f"{name} ")
        }


NAMES = ["address", *documents(), "/mcp", "/mcp/", "Authorization", "CORS", "/oauth/token"]
NAMES += [f"as {program}" for program in PROGRAMS]


@dataclass
class Site:
    url: str
    proxy: Proxy
    check: Callable[..., Awaitable[Checked]]


Serve = Callable[[str | None], AbstractAsyncContextManager[Site]]


@pytest.fixture
def serve(
    tmp_path: Path,
    sqlite_template: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    own_logging: None,
) -> Serve:
    """`serve(url)` runs a server behind a proxy, both real, whose PUBLIC_URL is `url` or the proxy's own."""
    (tmp_path / "data").mkdir()
    shutil.copy(sqlite_template, tmp_path / "data" / "selfmemory.db")
    monkeypatch.setenv("SELFMEMORY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SELFMEMORY_TRUSTED_PROXIES", "127.0.0.1")
    monkeypatch.chdir(tmp_path)

    async def check(command: str = "check-connection") -> Checked:
        code = await asyncio.to_thread(main, [command])
        return Checked(code, *capfd.readouterr())

    @asynccontextmanager
    async def serving(public_url: str | None) -> AsyncIterator[Site]:
        listener = listening()
        monkeypatch.setenv("SELFMEMORY_PUBLIC_URL", public_url or url_of(listener))
        async with running(create_app(read_settings(None), lambda _settings: WordEmbedder())) as app:
            proxy = Proxy(app)
            async with served(proxy, listener):
                yield Site(url_of(listener), proxy, check)

    return serving


@pytest.fixture
async def site(serve: Serve) -> AsyncIterator[Site]:
    async with serve(None) as site:
        yield site


async def test_a_server_that_is_reached_well_passes(site: Site) -> None:
    checked = await site.check()
    assert (checked.code, checked.wrong) == (0, {}), checked.out
    assert checked.out.count("\n") == len(NAMES)


def blocking(*words: str) -> Answer:
    """Block User-Agents as bot protections do."""

    def answer(_method: str, _path: str, headers: Headers) -> Response | None:
        is_blocked = any(word in headers.get("user-agent", "") for word in words)
        return HTMLResponse("Attention Required!", 403) if is_blocked else None

    return answer


def on_path(path: str, answer: Response) -> Answer:
    return lambda _method, asked, _headers: answer if asked == path else None


def preflights_answered(method: str, _path: str, _headers: Headers) -> Response | None:
    return Response(status_code=204, headers={"Access-Control-Allow-Origin": "*"}) if method == "OPTIONS" else None


CASES: dict[str, tuple[Answer, set[str], str]] = {
    "blocks Claude": (blocking("Claude-User"), {"as Claude"}, "allow this path in its bot protection"),
    "blocks programs": (blocking("python-", "Go-http", "aiohttp"), {"as Python", "as Python aiohttp", "as Go"}, "403"),
    "blocks ChatGPT": (blocking("openai", "ChatGPT"), {"as ChatGPT", "as ChatGPT browsing"}, "User-Agent"),
    "redirects /mcp": (
        on_path("/mcp", RedirectResponse("/mcp/", 301)),
        {"/mcp", "Authorization", "CORS", *(f"as {program}" for program in PROGRAMS)},
        "",
    ),
    "drops /mcp/": (on_path("/mcp/", PAGE), {"/mcp/"}, "something else answers"),
    "answers documents": (
        on_path("/.well-known/oauth-authorization-server", PAGE),
        {"/.well-known/oauth-authorization-server"},
        "let the proxy pass /.well-known on",
    ),
    "hides documents": (
        on_path("/.well-known/oauth-authorization-server", Response(status_code=404)),
        {"/.well-known/oauth-authorization-server"},
        "let it pass all paths",
    ),
    "blocks tokens": (on_path("/oauth/token", HTMLResponse("no", 403)), {"/oauth/token"}, "bot protection"),
    "answers preflights": (preflights_answered, {"CORS"}, "Access-Control-Allow-Origin"),
}


@pytest.mark.parametrize("case", CASES)
async def test_what_a_proxy_answers_itself_is_found(site: Site, case: str) -> None:
    site.proxy.answer, wrong, words = CASES[case]
    checked = await site.check()
    assert (checked.code, set(checked.wrong)) == (1, wrong), checked.out
    assert all(words in message for message in checked.wrong.values())


@pytest.mark.parametrize("status", [502, 504])
async def test_a_proxy_in_front_of_a_stopped_server_is_said_as_such(site: Site, status: int) -> None:
    site.proxy.answer = lambda _method, _path, _headers: HTMLResponse("Bad Gateway", status)
    sentence = (
        f"the proxy at {site.url} gets no answer from the server ({status}): start the server, or correct its address "
        "in the proxy"
    )
    checked = await site.check()
    assert (checked.code, checked.out) == (1, f"WRONG  address {sentence}\n")
    assert checked.err == "The other checks were not made, because no request reaches the server.\n"
    assert f"WRONG  public URL  {sentence}" in (await site.check("doctor")).out


async def test_a_redirect_of_mcp_is_said_as_such(site: Site) -> None:
    site.proxy.answer = on_path("/mcp", RedirectResponse("/mcp/", 308))
    assert (await site.check()).wrong["/mcp"].startswith("redirects to /mcp/, which clients do not follow")


async def test_a_proxy_that_drops_headers_is_found(site: Site) -> None:
    site.proxy.sends = {"authorization": ""}
    assert (await site.check()).wrong == {
        "Authorization": "the header does not arrive: let the proxy pass Authorization on"
    }
    site.proxy.sends, site.proxy.removes = {}, frozenset({"WWW-Authenticate"})
    checked = await site.check()
    assert {"/mcp", "/mcp/", "Authorization"} <= checked.wrong.keys()
    assert "pass WWW-Authenticate on unchanged" in checked.wrong["/mcp"]


async def test_a_proxy_that_adds_cors_headers_is_found(site: Site) -> None:
    site.proxy.adds = {"Access-Control-Allow-Origin": "*"}
    checked = await site.check()
    assert set(checked.wrong) == {"CORS", *documents()}
    assert "a second Access-Control-Allow-Origin" in checked.wrong["CORS"]


async def test_a_proxy_that_sends_another_host_is_found(site: Site) -> None:
    site.proxy.sends = {"host": "backend.example.com"}
    assert "SELFMEMORY_ALLOWED_HOSTS" in (await site.check()).wrong["/mcp"]


async def test_another_server_is_found(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFMEMORY_PUBLIC_URL", site.url.replace("127.0.0.1", "localhost"))
    checked = await site.check()
    assert "another server" in checked.wrong["/.well-known/oauth-authorization-server"]
    assert "another server" in checked.wrong["/mcp"]


async def test_nobody_at_the_address_is_one_line(
    site: Site, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setenv("SELFMEMORY_PUBLIC_URL", f"http://127.0.0.1:{unused_tcp_port}")
    checked = await site.check()
    assert (checked.code, checked.out.count("\n")) == (1, 1)
    assert checked.out.startswith("WRONG  address does not answer (ConnectError)")
    assert "The other checks were not made" in checked.err


async def test_a_server_at_another_port_than_the_commands_is_noticed(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, unused_tcp_port: int
) -> None:
    monkeypatch.delenv("SELFMEMORY_PUBLIC_URL")
    monkeypatch.setenv("SELFMEMORY_PORT", str(unused_tcp_port))
    sentence = (
        f"a server uses the data folder {tmp_path / 'data'}, but does not answer at "
        f"http://localhost:{unused_tcp_port}: give this command the same settings, for example in the file .env\n"
    )
    checked = await site.check()
    assert (checked.code, checked.out) == (1, f"WRONG  address {sentence}")
    checked = await site.check("doctor")
    assert checked.code == 1
    assert checked.out.endswith(f"WRONG  public URL  {sentence}")


@pytest.mark.needs("nginx")
@pytest.mark.parametrize("slash", [False, True], ids=["as documented", "with a slash"])
async def test_nginx_as_documented_passes_and_a_location_with_a_slash_is_found(
    serve: Serve, tmp_path: Path, unused_tcp_port: int, slash: bool
) -> None:
    block = documented()
    if slash:
        block = block.rstrip().removesuffix("}") + "location /mcp/ { proxy_pass http://127.0.0.1:8081; } }"
    async with serve(f"http://127.0.0.1:{unused_tcp_port}") as site:
        with running_nginx(tmp_path, block, unused_tcp_port, int(site.url.rpartition(":")[2])):
            checked = await site.check()
    assert checked.code == slash, checked.out
    assert ("redirects to" in checked.wrong.get("/mcp", "")) == slash
