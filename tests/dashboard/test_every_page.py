"""What holds for all pages alike: who may see them, and what a browser is allowed to do with them."""

import re
from collections.abc import Callable
from html.parser import HTMLParser

import httpx

from server import csp
from server.dashboard.routes import PAGES
from tests.conftest import Tenant
from tests.support.visitors import Visitor

OWN = re.compile(r"^(/|\?|#)")
CLIENTS = ("cursor://anysphere.cursor-deeplink/", "vscode:mcp/install?", "http://localhost:8081/")
IN_A_PROJECT = [path for path in PAGES if "{project_id}" in path and not PAGES[path].only_posts]
SHOWN = [path for path, page in PAGES.items() if not page.only_posts and not path.endswith("/export")]


class Found(HTMLParser):
    """What a browser would run, load or follow."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.inline: list[str] = []
        self.scripts: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.inline += [name for name in named if name.startswith("on") or name == "style"]
        self.links += [named[name] or "" for name in ("href", "src", "action") if name in named]
        if tag == "script":
            self.scripts.append(named)
        assert tag not in ("style", "iframe", "object", "embed")


async def test_a_page_runs_and_loads_nothing_but_our_own_files(ann: Visitor) -> None:
    memory_id = await ann.remember("Anna likes the window seat.", tags="travel", topic_category="likes")
    ids = {"project_id": ann.tenant.project_id, "organization_id": ann.tenant.organization_id, "memory_id": memory_id}
    for path in SHOWN:
        response = await ann.get(path.format(**ids))
        if response.status_code == 303:
            response = await ann.get(response.headers["location"])
        assert response.status_code == 200, path
        assert response.headers["content-security-policy"] == csp.DASHBOARD, path
        assert response.headers["cache-control"] == "no-store", path
        found = Found()
        found.feed(response.text)
        assert found.inline == [], path
        assert all(set(script) == {"src", "defer"} for script in found.scripts), path
        assert [link for link in found.links if not OWN.match(link) and not link.startswith(CLIENTS)] == [], path


async def test_who_is_not_signed_in_is_led_there_and_back(client: httpx.AsyncClient, alice: Tenant) -> None:
    for path in SHOWN:
        response = await client.get(path.format(project_id="p", organization_id="o", memory_id="m") + "?a=1")
        assert response.status_code == 303, path
        assert response.headers["location"].startswith("/sign-in?next=%2Fdashboard"), path
        assert response.headers["location"].endswith("%3Fa%3D1"), path


async def test_a_key_opens_no_page(client: httpx.AsyncClient, alice: Tenant) -> None:
    for path in PAGES:
        response = await client.get(path, headers=alice.auth)
        assert response.status_code == 303, path
        assert response.headers["location"].startswith("/sign-in?"), path


async def test_another_persons_project_looks_like_one_that_never_was(ann: Visitor, bob: Tenant) -> None:
    for path in IN_A_PROJECT:
        foreign = await ann.get(path.format(project_id=bob.project_id))
        unknown = await ann.get(path.format(project_id="proj_nobody"))
        assert foreign.status_code == unknown.status_code == 404, path
        assert foreign.text == unknown.text, path


async def test_another_persons_memory_looks_like_one_that_never_was(ann: Visitor, ben: Visitor) -> None:
    memory_id = await ben.remember("Ben keeps this to himself.")
    foreign = await ann.get(f"/dashboard/memories/{memory_id}")
    unknown = await ann.get("/dashboard/memories/mem_" + "0" * 32)
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.text == unknown.text
    assert (await ben.get(f"/dashboard/memories/{memory_id}")).status_code == 200


async def test_a_form_of_another_site_does_nothing_at_any_address(ann: Visitor) -> None:
    memory_id = await ann.remember("Stays.")
    ids = dict.fromkeys(("key_id", "user_id", "invitation_id", "connection_id", "notification_id", "session_id"), "x")
    ids |= {"project_id": ann.tenant.project_id, "organization_id": ann.tenant.organization_id, "memory_id": memory_id}
    for path in (path.format(**ids) for path, page in PAGES.items() if page.post is not None):
        for foreign in (
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": "https://evil.example"},
        ):
            response = await ann.client.post(path, headers=foreign)
            assert response.status_code == 403, (path, foreign)
    assert "Stays." in await ann.see(f"/dashboard/memories/{memory_id}")


async def test_an_address_that_only_does_leads_to_the_dashboard_when_it_is_opened(ann: Visitor) -> None:
    for path in (path for path, page in PAGES.items() if page.only_posts):
        response = await ann.get(path)
        assert (response.status_code, response.headers["location"]) == (303, "/dashboard")


async def test_other_methods_are_not_for_pages(ann: Visitor) -> None:
    response = await ann.client.put("/dashboard/account")
    assert response.status_code == 405
    assert (await ann.client.head(ann.project)).status_code == 200


async def test_a_new_server_asks_for_its_first_account_and_then_no_more(
    client: httpx.AsyncClient, make_tenant: Callable[[str], Tenant]
) -> None:
    assert (await client.get("/")).headers["location"] == "/dashboard"
    assert (await client.get("/dashboard")).headers["location"] == "/setup"
    assert "Make the first account" in (await client.get("/setup")).text
    make_tenant("first@example.com")
    assert (await client.get("/dashboard")).headers["location"].startswith("/sign-in")
    assert (await client.get("/setup")).headers["location"] == "/sign-in"


async def test_what_was_done_is_told_in_our_words_only(ann: Visitor) -> None:
    assert "Key revoked" in await ann.see(f"{ann.project}/keys?done=key-revoked")
    assert "your account is locked" not in await ann.see(f"{ann.project}/keys?done=your account is locked")


async def test_a_stylesheet_is_sent_once(client: httpx.AsyncClient) -> None:
    first = await client.get("/static/app.css")
    assert first.headers["content-type"].startswith("text/css")
    again = await client.get("/static/app.css", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await client.get("/static/..%2Fpages.py")).status_code == 404


async def test_an_address_that_cannot_be_read_is_said_on_the_page(ann: Visitor) -> None:
    for query in ("q=%00", "when=%00", "before=x", "skip=101", "skip=x"):
        assert (await ann.get(f"{ann.project}/memories?{query}")).status_code == 400, query
