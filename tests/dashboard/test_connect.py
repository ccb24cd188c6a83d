"""The page "Connect an assistant": the text for each assistant, its key, and the message when it has connected."""

import base64
import html
import json
import re
import tomllib
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import pytest
import yaml

from server.assistants.catalog import assistants
from server.assistants.instructions import Assistant, Target
from tests.support.tables import rows
from tests.support.visitors import Visitor, seen

URL = "http://localhost:8081/mcp"
HEADERS = {"Authorization": "Bearer YOUR_API_KEY"}
KEY = re.compile(r"sk_im_\w{38}")
ALL = assistants(Target("http://localhost:8081"))


async def snippets(visitor: Visitor, client: str) -> list[str]:
    """Return the texts to paste, in order."""
    page = await visitor.get(f"{visitor.project}/connect?client={client}")
    return [html.unescape(text) for text in re.findall(r"<pre[^>]*>(.*?)</pre>", page.text, re.DOTALL)]


async def links(visitor: Visitor, client: str, *, new_key: bool = False) -> list[str]:
    """Return the install links, in order."""
    path = f"{visitor.project}/connect?client={client}"
    page = await (visitor.shown(path) if new_key else visitor.get(path))
    return [html.unescape(link) for link in re.findall(r'<a class="button" href="([^"]+)">Add to', page.text)]


@rows(
    ("client", "keys", "signing_in", "more_with_key"),
    [
        ("cursor", ("mcpServers",), {"url": URL}, {}),
        ("vscode", ("servers",), {"type": "http", "url": URL}, {}),
        ("zed", ("context_servers",), {"url": URL}, {}),
        ("windsurf", ("mcpServers",), {"serverUrl": URL}, {}),
        ("cline", ("mcpServers",), {"type": "streamableHttp", "url": URL}, {}),
    ],
)
async def test_an_editor_gets_the_entry_that_its_documentation_asks_for(
    ann: Visitor, client: str, keys: tuple[str, ...], signing_in: dict[str, str], more_with_key: dict[str, str]
) -> None:
    first, second = map(json.loads, await snippets(ann, client))
    assert first == {keys[0]: {"selfmemory": signing_in}}
    assert second == {keys[0]: {"selfmemory": {**signing_in, **more_with_key, "headers": HEADERS}}}


async def test_a_terminal_gets_the_command_that_its_documentation_asks_for(ann: Visitor) -> None:
    terminal, _, with_key = await snippets(ann, "claude-code")
    assert terminal == f"claude mcp add --transport http --scope user selfmemory {URL}"
    assert with_key == f'{terminal} --header "Authorization: Bearer YOUR_API_KEY"'
    terminal, sign_in, with_key = await snippets(ann, "gemini")
    assert (terminal, sign_in) == (
        f"gemini mcp add --transport http --scope user selfmemory {URL}",
        "/mcp auth selfmemory",
    )
    assert with_key == f'{terminal} --header "Authorization: Bearer YOUR_API_KEY"'
    add, login, with_key = await snippets(ann, "codex")
    assert (add, login) == (f"codex mcp add selfmemory --url {URL}", "codex mcp login selfmemory")
    assert tomllib.loads(with_key) == {"mcp_servers": {"selfmemory": {"url": URL, "http_headers": HEADERS}}}


async def test_claude_desktop_starts_a_program_that_passes_calls_on(ann: Visitor) -> None:
    signing_in, with_key = map(json.loads, await snippets(ann, "claude-desktop"))
    assert signing_in["mcpServers"]["selfmemory"] == {"command": "npx", "args": ["-y", "mcp-remote", URL]}
    entry = with_key["mcpServers"]["selfmemory"]
    assert entry["args"][-2:] == ["--header", "Authorization:${AUTHORIZATION}"]
    assert not [argument for argument in entry["args"] if " " in argument]
    assert entry["env"] == {"AUTHORIZATION": "Bearer YOUR_API_KEY"}


async def test_yaml_files_read_as_they_are_meant(ann: Visitor) -> None:
    _, with_key = map(yaml.safe_load, await snippets(ann, "goose"))
    entry = with_key["extensions"]["selfmemory"]
    assert (entry["type"], entry["uri"], entry["headers"]) == ("streamable_http", URL, HEADERS)
    assert entry["enabled"] is True
    signing_in, with_key = map(yaml.safe_load, await snippets(ann, "librechat"))
    assert signing_in["mcpServers"]["selfmemory"] == {"type": "streamable-http", "url": URL, "requiresOAuth": True}
    assert with_key["mcpServers"]["selfmemory"] == {"type": "streamable-http", "url": URL, "headers": HEADERS}


async def test_a_hosted_assistant_needs_a_public_address(ann: Visitor) -> None:
    assert (await snippets(ann, "claude"))[0] == (await snippets(ann, "chatgpt"))[0] == URL
    assert "only this computer can reach" in await ann.see(f"{ann.project}/connect?client=claude")
    first = re.search(r'connect\?client=([\w-]+)"', (await ann.get(f"{ann.project}/connect")).text)
    assert first
    assert first[1] == "claude-code"


async def test_install_links_carry_the_complete_configuration(ann: Visitor) -> None:
    cursor = urlsplit((await links(ann, "cursor"))[0])
    assert (cursor.scheme, cursor.netloc, cursor.path) == ("cursor", "anysphere.cursor-deeplink", "/mcp/install")
    query = parse_qs(cursor.query)
    assert query["name"] == ["selfmemory"]
    assert json.loads(base64.b64decode(query["config"][0])) == {"url": URL}
    address, _, config = (await links(ann, "vscode"))[0].partition("?")
    assert address == "vscode:mcp/install"
    assert json.loads(unquote(config)) == {"name": "selfmemory", "type": "http", "url": URL}
    goose = urlsplit((await links(ann, "goose"))[0])
    assert (goose.scheme, goose.netloc) == ("goose", "extension")
    assert parse_qs(goose.query)["url"] == [URL]
    studio = parse_qs(urlsplit((await links(ann, "lm-studio", new_key=True))[0]).query)
    entry = json.loads(base64.b64decode(studio["config"][0]))
    assert entry["url"] == URL
    assert KEY.fullmatch(entry["headers"]["Authorization"].removeprefix("Bearer "))


async def test_a_link_with_a_key_waits_for_the_key(ann: Visitor) -> None:
    path = f"{ann.project}/connect?client=lm-studio"
    hint = "Create a key first; then a button adds the server with it."
    before = await ann.see(path)
    assert await links(ann, "lm-studio") == []
    assert hint in before
    assert "Or open Program" not in before
    after = seen(await ann.shown(path))
    assert hint not in after
    assert "Or open Program" in after


@pytest.mark.parametrize("assistant", ALL, ids=lambda each: each.id)
def test_no_link_hides_the_placeholder_of_a_key(assistant: Assistant) -> None:
    for link in (step.link for step in (*assistant.sign_in, *assistant.with_key) if step.link):
        config = parse_qs(urlsplit(link).query).get("config", [""])[0]
        assert "YOUR_API_KEY" not in unquote(link) + base64.b64decode(config).decode()


@rows("assistant", [each for each in ALL if each.with_key])
async def test_a_key_that_is_created_here_is_in_the_text(
    ann: Visitor, client: httpx.AsyncClient, assistant: Assistant
) -> None:
    page = await ann.shown(f"{ann.project}/connect", {"client": assistant.id})
    assert page.headers["cache-control"] == "no-store"
    assert "YOUR_API_KEY" not in page.text
    links = re.findall(r'config=([^"&]+)', page.text)
    found = KEY.search(page.text) or KEY.search(base64.b64decode(unquote(links[0])).decode())
    assert found
    answer = await client.post(
        "/api/memories/search", json={"query": ""}, headers={"Authorization": f"Bearer {found[0]}"}
    )
    assert answer.status_code == 200


async def test_a_viewers_key_only_reads(viewer: Visitor, ann: Visitor, client: httpx.AsyncClient) -> None:
    page = await viewer.shown(f"{ann.project}/connect", {"client": "cursor"})
    found = KEY.search(page.text)
    assert found
    headers = {"Authorization": f"Bearer {found[0]}"}
    assert (await client.get("/api/memories", headers=headers)).status_code == 200
    body = {"messages": [{"role": "user", "content": "no"}]}
    assert (await client.post("/api/memories", json=body, headers=headers)).status_code == 403


async def test_the_page_says_connected_after_the_first_call(ann: Visitor, client: httpx.AsyncClient) -> None:
    page = await ann.shown(f"{ann.project}/connect", {"client": "cursor"})
    found = KEY.search(page.text)
    waiting = re.search(r'data-waiting="([^"]+)"', page.text)
    assert found
    assert waiting
    status = html.unescape(waiting[1])
    assert (await ann.get(status)).json() == {"connected": None}
    await client.get("/api/memories", headers={"Authorization": f"Bearer {found[0]}"})
    assert (await ann.get(status)).json() == {"connected": "Cursor"}
    since = parse_qs(urlsplit(status).query)["since"][0]
    again = await ann.client.get(f"{ann.project}/connect", params={"client": "cursor", "since": since})
    assert "Connected: Cursor" in seen(again)
    reloaded = await ann.get(f"{ann.project}/connect?client=python")
    assert re.search(r"Connected: Cursor \(last call \S.*? \)\. Waiting for another assistant\.", seen(reloaded))
    assert "data-waiting" in reloaded.text
    assert "Waiting for the first call" not in seen(reloaded)


async def test_the_page_waits_for_the_first_call_of_ones_own(ann: Visitor, viewer: Visitor) -> None:
    await ann.client.get("/api/memories", headers=ann.tenant.auth)
    page = await viewer.see(f"{ann.project}/connect?client=cursor")
    assert "Waiting for the first call." in page
    assert "Connected:" not in page


async def test_the_page_does_not_wait_for_a_client_that_cannot_reach_the_server(ann: Visitor) -> None:
    await ann.client.get("/api/memories", headers=ann.tenant.auth)
    page = seen(answer := await ann.get(f"{ann.project}/connect?client=claude"))
    assert "Waiting for" not in page
    assert "Connected:" not in page
    assert "data-waiting" not in answer.text


@rows("since", ["", "soon", "2020-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00", "2026-01-01"])
async def test_an_old_or_odd_moment_counts_as_now(ann: Visitor, client: httpx.AsyncClient, since: str) -> None:
    await client.get("/api/memories", headers=ann.tenant.auth)
    answer = await ann.client.get(f"{ann.project}/connect/status", params={"since": since})
    assert answer.json() == {"connected": None}


async def test_a_stranger_learns_nothing_of_a_connection(ann: Visitor, ben: Visitor) -> None:
    assert (await ben.get(f"{ann.project}/connect/status")).status_code == 404


async def test_other_clients_get_an_address_and_a_file(ann: Visitor) -> None:
    address, signing_in, with_key = await snippets(ann, "other")
    entry = {"type": "http", "url": URL}
    assert address == URL
    assert json.loads(signing_in) == {"mcpServers": {"selfmemory": entry}}
    assert json.loads(with_key) == {"mcpServers": {"selfmemory": {**entry, "headers": HEADERS}}}


def test_every_assistant_names_the_page_that_it_was_checked_against() -> None:
    assert [each.id for each in ALL if not each.guide and each.id not in ("other", "rest")] == []
