"""The dashboard in a real browser."""

import base64
import hashlib
import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from selenium.webdriver import Keys
from selenium.webdriver.common.by import By

from server.settings import Settings
from tests.support.accessibility import problems_here
from tests.support.browser import TIMEOUT_SECONDS, Browser, browsing, serving

pytestmark = pytest.mark.needs("chromium")

XSS = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>"
VERIFIER = "a" * 64


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with serving(tmp_path_factory.mktemp("site")) as settings:
        yield settings


@pytest.fixture
def ann(site: Settings) -> Iterator[Browser]:
    with browsing(site.public_url) as browser:
        yield browser


@pytest.fixture
def ben(site: Settings) -> Iterator[Browser]:
    with browsing(site.public_url) as browser:
        yield browser


@pytest.fixture
def plain(site: Settings) -> Iterator[Browser]:
    """A browser without script."""
    with browsing(site.public_url, script=False) as browser:
        yield browser


def make_key(browser: Browser, name: str) -> str:
    browser.press("API keys", "nav")
    browser.write("Name", name)
    browser.press("Create API key")
    return browser.field("New API key").get_attribute("value") or ""


def remember(browser: Browser, key: str, content: str, **metadata: str) -> str:
    body = {"messages": [{"role": "user", "content": content}], "metadata": metadata}
    headers = {"Authorization": f"Bearer {key}"}
    response = httpx.post(f"{browser.base}/api/memories", json=body, timeout=TIMEOUT_SECONDS, headers=headers)
    assert response.status_code == 200, response.text
    return str(response.json()["memory_id"])


def authorize(browser: Browser) -> tuple[str, str]:
    """Register a client and open its authorization request. Return the client's id and redirect URI."""
    redirect_uri = f"{browser.base}/client-callback"
    registration = {
        "client_name": "Test Assistant",
        "redirect_uris": [redirect_uri],
        "token_endpoint_auth_method": "none",
    }
    client_id = httpx.post(f"{browser.base}/oauth/register", timeout=TIMEOUT_SECONDS, json=registration).json()[
        "client_id"
    ]
    digest = hashlib.sha256(VERIFIER.encode()).digest()
    parameters = {
        "response_type": "code", "client_id": client_id, "redirect_uri": redirect_uri, "state": "s",
        "scope": "memories:read memories:write", "code_challenge_method": "S256",
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
    }  # fmt: skip
    browser.open(f"/oauth/authorize?{urlencode(parameters)}")
    return str(client_id), redirect_uri


def exchange(browser: Browser, client_id: str, redirect_uri: str) -> str:
    """Exchange the code in the browser's address for an access token."""
    code = parse_qs(urlsplit(browser.driver.current_url).query)["code"][0]
    fields = {
        "grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri,
        "client_id": client_id, "code_verifier": VERIFIER,
    }  # fmt: skip
    return str(httpx.post(f"{browser.base}/oauth/token", timeout=TIMEOUT_SECONDS, data=fields).json()["access_token"])


def test_from_the_first_account_to_a_connected_app(ann: Browser, ben: Browser) -> None:
    ann.open("/")
    assert ann.path == "/setup"
    ann.sign_up("ann@example.com", "Ann")
    assert ann.shows("Get started")

    key = make_key(ann, "Laptop")
    ann.driver.refresh()  # does not send the form again
    assert ann.shows("1 API key")
    memory_id = remember(ann, key, "Anna likes the window seat.", tags="travel")
    ann.press("Memories", "nav")
    assert ann.shows("Anna likes the window seat.")

    remember(ann, key, "Deploys happen on Thursdays.")
    ann.write("Search memories", "window seat")
    ann.press("Search")
    assert ann.shows("Strong match")
    assert "Deploys happen" not in ann.text
    assert ann.shows("#travel")

    ann.open(f"/dashboard/memories/{memory_id}")
    ann.press("Edit")
    ann.write("Text", "Anna likes the aisle seat.")
    ann.press("Save")
    assert ann.shows("Saved.")
    assert ann.shows("Anna likes the aisle seat.")
    assert ann.shows("1 earlier version")

    ann.press("Delete")
    assert ann.shows("Memory deleted.")
    assert "aisle seat" not in ann.text
    ann.press("Undo")
    assert ann.shows("Anna likes the aisle seat.")
    invite_and_accept(ann, ben)
    connect_and_disconnect(ann)


def invite_and_accept(ann: Browser, ben: Browser) -> None:
    ann.press("Members", "nav")
    ann.write("Email address", "ben@example.com")
    ann.choose("Role", "Editor")
    ann.press("Send invitation")
    link = ann.field("Invitation link").get_attribute("value") or ""
    ben.driver.get(link)
    ben.press("Create account")
    assert ben.field("Email address").get_attribute("value") == "ben@example.com"
    ben.sign_up("ben@example.com", "Ben")
    ben.press("Accept")
    ben.open("/dashboard/organizations")
    assert ben.shows("Personal (Ann)")
    ben.press("My Memories", "section:nth-of-type(2)")  # below his own organization
    assert ben.shows("Anna likes the aisle seat.")
    ann.press("Notifications", "nav")
    assert ann.shows("Ben joined Personal")


def connect_and_disconnect(ann: Browser) -> None:
    client_id, redirect_uri = authorize(ann)
    assert ann.shows("Test Assistant")
    ann.press("Allow")
    bearer = {"Authorization": f"Bearer {exchange(ann, client_id, redirect_uri)}"}
    assert httpx.get(f"{ann.base}/api/memories", timeout=TIMEOUT_SECONDS, headers=bearer).json()["total"] == 2
    ann.open("/dashboard/connections")
    assert ann.shows("Test Assistant")
    ann.press("Disconnect")
    ann.press("Disconnect Test Assistant")
    assert ann.shows("App disconnected.")
    assert httpx.get(f"{ann.base}/api/memories", timeout=TIMEOUT_SECONDS, headers=bearer).status_code == 401


def signed_up(browser: Browser, name: str) -> str:
    """Sign up and return the path of the new project."""
    browser.open("/sign-up")
    browser.sign_up(f"{name.lower()}@example.org", name)
    return browser.path


def test_everything_works_without_script(plain: Browser) -> None:
    signed_up(plain, "Plain")
    plain.press("Add memory")
    plain.write("Text", "Written without script.")
    plain.press("Add memory")
    assert plain.shows("Written without script.")
    assert " UTC" in (plain.driver.find_element(By.TAG_NAME, "time").get_attribute("title") or "")
    key = make_key(plain, "Plain")
    assert key.startswith("sk_im_")
    plain.press("API keys", "nav")
    plain.press("Revoke")
    plain.press("Revoke sk_im_")
    assert plain.shows("API key revoked")
    plain.press("Memories", "nav")
    plain.write("Search memories", "without")
    plain.press("Search")
    plain.press("Actions for")
    plain.press("Pin")
    assert plain.shows("1 memory pinned.")
    plain.press("Actions for")
    plain.press("Delete")
    plain.press("Undo")
    assert plain.shows("Memory restored")
    plain.press("Sign out", ".side")
    assert plain.path == "/sign-in"


def test_markup_in_every_field_is_escaped(ann: Browser) -> None:
    project = signed_up(ann, "Mallory")
    key = make_key(ann, XSS)
    labels = {"tags": XSS, "people_mentioned": XSS, "topic_category": XSS, XSS: XSS}
    memory_id = remember(ann, key, XSS, **labels)
    ann.open("/dashboard/account")
    ann.write("Name", XSS)
    ann.press("Save")
    searched = f"{project}/memories?{urlencode({'q': XSS, 'tags': XSS})}"
    for path in (
        project, f"{project}/memories", searched, f"/dashboard/memories/{memory_id}",
        f"/dashboard/memories/{memory_id}/edit", f"{project}/keys", f"{project}/members", "/dashboard/account",
        "/dashboard/notifications",
    ):  # fmt: skip
        ann.open(path)
        assert ann.driver.title != "owned", path
        assert ann.driver.find_elements(By.CSS_SELECTOR, "img[src=x]") == []
    entries = ann.driver.get_log("browser")  # type: ignore[no-untyped-call]  # selenium's own
    assert [entry["message"] for entry in entries if "Content Security Policy" in entry["message"]] == []


def test_times_are_shown_in_the_readers_time_zone(ann: Browser) -> None:
    ann.use_zone("Asia/Tokyo")
    project = signed_up(ann, "Kenji")
    body = {"messages": [{"role": "user", "content": "New year."}], "created_at": "2025-12-31T20:00:00Z"}
    key = make_key(ann, "Laptop")
    httpx.post(
        f"{ann.base}/api/memories", json=body, timeout=TIMEOUT_SECONDS, headers={"Authorization": f"Bearer {key}"}
    )
    ann.open(f"{project}/memories")
    assert ann.shows("Jan 1, 2026")
    exact = ann.driver.find_element(By.TAG_NAME, "time").get_attribute("title")
    assert exact
    assert "5:00:00" in exact
    ann.press("Filters")
    ann.write("When", "2026-01-01")
    assert ann.shows("Asia/Tokyo")
    ann.press("Apply")
    assert ann.shows("New year.")
    assert "timezone=Asia%2FTokyo" in ann.path


def test_the_dashboard_works_with_the_keyboard_alone(ann: Browser) -> None:
    project = signed_up(ann, "Kay")
    remember(ann, make_key(ann, "Laptop"), "Only keys were pressed.")
    ann.open(f"{project}/memories")
    ann.keys(Keys.TAB)
    assert ann.driver.switch_to.active_element.text == "Skip to content"
    ann.keys("/")
    ann.keys("pressed", Keys.ENTER)
    assert ann.shows("1 result")
    ann.open(f"{project}/keys")
    ann.named("Revoke").send_keys(Keys.ENTER)
    assert ann.named("Revoke sk_im_").is_displayed()
    ann.keys(Keys.ESCAPE)
    assert ann.driver.switch_to.active_element.text == "Revoke"


def test_pages_fit_a_phone_and_have_no_serious_accessibility_problems(ann: Browser) -> None:
    signed_out = ("/sign-in", "/sign-up", "/forgot-password", "/accept-invitation/nothing")
    problems = [problem for path in signed_out for problem in problems_on(ann, path)]
    project = signed_up(ann, "Axel")
    key = make_key(ann, "Laptop")
    content = "A very" + "long" * 50 + " word and " + "x" * 300
    remember(ann, key, content, tags="a,b")
    memory_id = remember(ann, key, content, tags="a,b", topic_category="c", **{"key" * 40: "value" * 40})
    ann.open("/dashboard/organizations")
    found = re.search(r"/dashboard/organizations/org_\w+", ann.driver.page_source)
    assert found
    pages = [
        project, *(f"{project}/{name}" for name in ("memories", "memories?q=word", "memories?when=x", "memories/new")),
        f"{project}/memories?tags=a,b&people=Anna&category=c&pinned=1&when=this+year",
        f"{project}/memories?tags=a",
        *(f"{project}/{name}" for name in ("connect", "connect?client=rest", "keys", "members", "transfer")),
        *(f"{project}/{name}" for name in ("settings", "trash", "similar", "activity")),
        f"/dashboard/memories/{memory_id}", f"/dashboard/memories/{memory_id}/edit",
        found[0], *(f"{found[0]}/{name}" for name in ("members", "projects", "access", "activity", "danger")),
        "/dashboard/organizations", "/dashboard/connections", "/dashboard/notifications", "/dashboard/account",
        "/dashboard/account/passkeys",
        "/dashboard/memories/nothing",
    ]  # fmt: skip
    problems += [problem for path in pages for problem in problems_on(ann, path)]
    assert problems == []


def test_a_page_says_connected_when_the_assistant_makes_its_first_call(ann: Browser) -> None:
    project = signed_up(ann, "Cora")
    ann.open(f"{project}/connect?client=cursor")
    ann.press("Create a key and fill it in below")
    assert ann.shows("Waiting for the first call.")
    key = re.search(r"sk_im_\w+", ann.text)
    assert key
    remember(ann, key[0], "Cora works from Lisbon.")
    assert ann.shows("Connected: Cursor")


def problems_on(browser: Browser, path: str) -> list[str]:
    browser.open(path)
    return problems_here(browser)
