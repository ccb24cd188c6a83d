"""Rules for all pages: who can see them, and which headers they have."""

import re
from collections.abc import Callable
from html.parser import HTMLParser

import httpx

from server.dashboard.pages import Form
from server.dashboard.routes import PAGES
from server.web import csp
from tests.conftest import Tenant
from tests.support.visitors import Visitor

HTML = {"Accept": "text/html"}
OWN_LINK = re.compile(r"^(/|\?|#)")
CLIENT_LINKS = (
    "cursor://anysphere.cursor-deeplink/",
    "vscode:mcp/install?",
    "goose://extension?",
    "lmstudio://add_mcp?",
    "http://localhost:8081/",
)
PROJECT_PAGES = [
    path for path in PAGES if "{project_id}" in path and "{upload_id}" not in path and not isinstance(PAGES[path], Form)
]
SHOWN_PAGES = [
    path
    for path, page in PAGES.items()
    if not isinstance(page, Form) and not path.endswith(("/export", "/status", "/live", "{upload_id}"))
]


class PageContents(HTMLParser):
    """Collects what a browser would run, load or follow."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.inline: list[str] = []
        self.scripts: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.inline += [name for name in attributes if name.startswith("on") or name == "style"]
        self.links += [attributes[name] or "" for name in ("href", "src", "action") if name in attributes]
        if tag == "script":
            self.scripts.append(attributes)
        assert tag not in ("style", "iframe", "object", "embed")


async def test_pages_run_and_load_only_our_own_files(ann: Visitor) -> None:
    memory_id = await ann.remember("Anna likes the window seat.", tags="travel", topic_category="likes")
    ids = {"project_id": ann.tenant.project_id, "organization_id": ann.tenant.organization_id, "memory_id": memory_id}
    for path in SHOWN_PAGES:
        response = await ann.get(path.format(**ids))
        if response.status_code == 303:
            response = await ann.get(response.headers["location"])
        assert response.status_code == 200, path
        assert response.headers["content-security-policy"] == csp.DASHBOARD, path
        assert response.headers["cache-control"] == "no-store", path
        contents = PageContents()
        contents.feed(response.text)
        assert contents.inline == [], path
        assert all(set(script) == {"src", "defer"} for script in contents.scripts), path
        assert [
            link for link in contents.links if not OWN_LINK.match(link) and not link.startswith(CLIENT_LINKS)
        ] == [], path


async def test_signed_out_visitors_are_redirected_to_sign_in_and_back(client: httpx.AsyncClient, alice: Tenant) -> None:
    for path in SHOWN_PAGES:
        response = await client.get(path.format(project_id="p", organization_id="o", memory_id="m") + "?a=1")
        assert response.status_code == 303, path
        assert response.headers["location"].startswith("/sign-in?next=%2Fdashboard"), path
        assert response.headers["location"].endswith("%3Fa%3D1"), path


async def test_an_api_key_cannot_open_a_page(client: httpx.AsyncClient, alice: Tenant) -> None:
    for path in PAGES:
        response = await client.get(path, headers=alice.auth)
        assert response.status_code == 303, path
        assert response.headers["location"].startswith("/sign-in?"), path


async def test_another_users_project_looks_like_a_missing_one(ann: Visitor, bob: Tenant) -> None:
    for path in PROJECT_PAGES:
        foreign = await ann.get(path.format(project_id=bob.project_id))
        unknown = await ann.get(path.format(project_id="proj_nobody"))
        assert foreign.status_code == unknown.status_code == 404, path
        assert foreign.text == unknown.text, path


async def test_another_users_memory_looks_like_a_missing_one(ann: Visitor, ben: Visitor) -> None:
    memory_id = await ben.remember("Ben keeps this to himself.")
    foreign = await ann.get(f"/dashboard/memories/{memory_id}")
    unknown = await ann.get("/dashboard/memories/mem_" + "0" * 32)
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.text == unknown.text
    assert (await ben.get(f"/dashboard/memories/{memory_id}")).status_code == 200


async def test_forms_of_other_sites_are_refused_on_every_page(ann: Visitor) -> None:
    memory_id = await ann.remember("Stays.")
    ids = dict.fromkeys(("key_id", "user_id", "invitation_id", "connection_id", "notification_id", "session_id"), "x")
    ids |= {"passkey_id": "x", "upload_id": "x", "view_id": "x"}
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


async def test_opening_an_address_for_posts_only_redirects_to_the_dashboard(ann: Visitor) -> None:
    for path in (path for path, page in PAGES.items() if isinstance(page, Form)):
        response = await ann.get(path)
        assert (response.status_code, response.headers["location"]) == (303, "/dashboard")


async def test_pages_refuse_other_methods(ann: Visitor) -> None:
    response = await ann.client.put("/dashboard/account")
    assert response.status_code == 405
    assert (await ann.client.head(ann.project)).status_code == 200


async def test_a_new_server_asks_for_the_first_account_only_once(
    client: httpx.AsyncClient, make_tenant: Callable[[str], Tenant]
) -> None:
    assert (await client.get("/")).headers["location"] == "/dashboard"
    assert (await client.get("/dashboard")).headers["location"] == "/setup"
    assert "Create the first account" in (await client.get("/setup")).text
    make_tenant("first@example.com")
    assert (await client.get("/dashboard")).headers["location"].startswith("/sign-in")
    assert (await client.get("/setup")).headers["location"] == "/sign-in"


async def test_done_messages_come_from_a_fixed_table(ann: Visitor) -> None:
    assert "API key revoked" in await ann.see(f"{ann.project}/keys?done=key-revoked")
    assert "your account is locked" not in await ann.see(f"{ann.project}/keys?done=your account is locked")


async def test_a_cached_stylesheet_is_not_sent_again(client: httpx.AsyncClient) -> None:
    first = await client.get("/static/app.css")
    assert first.headers["content-type"].startswith("text/css")
    again = await client.get("/static/app.css", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await client.get("/static/..%2Fpages.py")).status_code == 404


async def test_the_icon_is_also_where_programs_look_for_it(client: httpx.AsyncClient) -> None:
    answer = await client.get("/favicon.ico", follow_redirects=True)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")


async def test_an_invalid_query_is_a_bad_request(ann: Visitor) -> None:
    for query in ("q=%00", "when=%00", "before=x", "skip=101", "skip=x"):
        assert (await ann.get(f"{ann.project}/memories?{query}")).status_code == 400, query


async def test_a_slash_at_the_end_leads_to_the_page(ann: Visitor) -> None:
    for path in ("/dashboard", f"{ann.project}/memories", "/sign-in", "/no-such-page"):
        answer = await ann.client.get(f"{path}//?q=tea&x=%2F", headers=HTML)
        assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?q=tea&x=%2F"), path
    for path in ("//evil.example/", "/%5Cevil.example/", "///", "/api/x/", "/oauth/x/", "/mcp/x/"):
        answer = await ann.client.get(f"http://localhost:8081{path}", headers=HTML)
        assert answer.status_code in (404, 303), path
        assert answer.headers.get("location", "/%5Cevil.example") == "/%5Cevil.example", path
    assert (await ann.client.post("/sign-in/", headers=HTML)).status_code == 404
