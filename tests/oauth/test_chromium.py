"""Sign-in and consent in a real browser: with the mouse, with the keyboard alone, on a phone, and without scripts."""

import http.server
import threading
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from selenium.webdriver import Keys
from selenium.webdriver.support.ui import WebDriverWait

from server.settings import Settings
from tests.support.browser import PASSWORD, TIMEOUT_SECONDS, Browser, browsing, serving
from tests.support.flows import challenge_of, new_verifier

pytestmark = pytest.mark.needs("chromium")

EMAIL = "ann@example.com"
APP = "cursor://anysphere.cursor-mcp/oauth/callback"


class Listener(http.server.ThreadingHTTPServer):
    """A program on the person's computer that listens for the answer."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Heard)
        self.answers: list[dict[str, str]] = []

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/callback"


class Heard(http.server.BaseHTTPRequestHandler):
    server: Listener

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/callback":
            self.server.answers.append(dict(parse_qsl(parts.query)))
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<main>Connected. You can close this page.</main>")

    def log_message(self, format: str, *args: object) -> None:
        """Do not log."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with serving(tmp_path_factory.mktemp("site")) as settings:
        with browsing(settings.public_url) as browser:
            browser.open("/sign-up")
            browser.sign_up(EMAIL, "Ann")
        yield settings


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as listener:
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        yield listener
        listener.shutdown()
        thread.join()


@pytest.fixture(params=[True, False], ids=["script", "no script"])
def browser(site: Settings, request: pytest.FixtureRequest) -> Iterator[Browser]:
    with browsing(site.public_url, script=request.param) as browser:
        yield browser


@pytest.fixture
def scripted(site: Settings) -> Iterator[Browser]:
    with browsing(site.public_url) as browser:
        yield browser


def authorization_url(base: str, *uris: str, name: str = "Notes") -> tuple[str, str]:
    """Register a client. Return the URL of its authorization request, and the verifier."""
    given = {"client_name": name, "redirect_uris": uris, "token_endpoint_auth_method": "none"}
    client_id = httpx.post(f"{base}/oauth/register", json=given).json()["client_id"]
    verifier = new_verifier()
    asked = {
        "response_type": "code", "client_id": client_id, "redirect_uri": uris[0], "state": "a-state",
        "code_challenge": challenge_of(verifier), "code_challenge_method": "S256",
    }  # fmt: skip
    return f"{base}/oauth/authorize?{urlencode(asked)}", verifier


def ask(browser: Browser, *uris: str, name: str = "Notes") -> str:
    """Open a client's authorization URL, and return the verifier."""
    url, verifier = authorization_url(browser.base, *uris, name=name)
    browser.open(url.removeprefix(browser.base))
    return verifier


def sign_in(browser: Browser, password: str = PASSWORD) -> None:
    browser.write("Email address", EMAIL)
    browser.write("Password", password)
    browser.press_at("main button.primary")


def network(browser: Browser) -> str:
    """Return the browser's requests since the last call."""
    entries = browser.driver.get_log("performance")  # type: ignore[no-untyped-call]  # selenium leaves it open
    return "".join(str(entry["message"]) for entry in entries)


def test_a_person_signs_in_and_allows(browser: Browser, listener: Listener) -> None:
    ask(browser, listener.uri)
    sign_in(browser, "wrong password")
    assert "Incorrect" in browser.text
    sign_in(browser)
    assert "Connect “Notes”?" in browser.text
    browser.press("Allow")
    assert browser.shows("You can close this page")
    assert [set(answer) for answer in listener.answers] == [{"code", "state", "iss"}]
    assert listener.answers[0]["iss"] == browser.base


def test_a_pop_up_keeps_the_window_that_opened_it(scripted: Browser, listener: Listener) -> None:
    """Through sign-up, a forgotten password, sign-in and consent, to the client's own page."""
    driver = scripted.driver
    address = authorization_url(scripted.base, listener.uri)[0]
    driver.get(listener.uri.replace("/callback", "/client"))
    driver.execute_script("window.popup = window.open(arguments[0], 'flow', 'width=600,height=700')", address)
    driver.switch_to.window(driver.window_handles[-1])
    for link in ("Sign up", "Sign in", "Forgot your password?", "Back to sign-in"):
        scripted.press(link, "body")
    sign_in(scripted)
    scripted.press("Allow")
    assert scripted.shows("You can close this page")
    assert driver.execute_script("return window.opener !== null")
    driver.execute_script("window.opener.document.title = 'told by ' + location.pathname")
    driver.switch_to.window(driver.window_handles[0])
    assert driver.title == "told by /callback"
    assert driver.execute_script("return !window.popup.closed")


def test_an_installed_application_gets_the_answer(site: Settings) -> None:
    """With a private scheme. A `form-action` in the page's policy would stop the redirect."""
    with browsing(site.public_url, network=True) as browser:
        ask(browser, APP)
        sign_in(browser)
        assert "the application that opens cursor: links" in browser.text
        browser.named("Allow").click()
        WebDriverWait(browser.driver, TIMEOUT_SECONDS).until(lambda _: f'"{APP}?code=sm_co_' in network(browser))
        said = browser.driver.get_log("browser")  # type: ignore[no-untyped-call]  # selenium leaves it open
        assert "Content Security Policy" not in str(said)


def test_the_consent_page_works_with_the_keyboard_alone(scripted: Browser, listener: Listener) -> None:
    ask(scripted, listener.uri)
    scripted.field("Email address").click()
    scripted.keys(EMAIL, Keys.TAB, PASSWORD, Keys.ENTER)
    assert scripted.shows("Connect “Notes”?")
    for _ in range(20):
        scripted.keys(Keys.TAB)
        if scripted.driver.switch_to.active_element.accessible_name == "Allow":
            break
    outline = scripted.driver.switch_to.active_element.value_of_css_property("outline-style")
    assert outline != "none"  # the focus is visible
    scripted.keys(Keys.ENTER)
    assert scripted.shows("You can close this page")
    assert "code" in listener.answers[0]


def test_the_consent_page_fits_a_phone(scripted: Browser, listener: Listener) -> None:
    scripted.use_phone()
    ask(scripted, listener.uri, name="An Application With Quite A Long Name Indeed")
    for shown in ("Sign in", "Connect “An Application"):
        assert scripted.shows(shown)
        width = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert scripted.driver.execute_script(width) == 0
        if shown == "Sign in":
            sign_in(scripted)
    for words in ("Allow", "Deny"):
        assert scripted.named(words).size["height"] >= 36


def test_a_problem_page_says_why_and_redirects_nowhere(scripted: Browser) -> None:
    scripted.open("/oauth/authorize?client_id=client_unknown&redirect_uri=https://evil.example/")
    assert "This application is not registered on this server" in scripted.text
    assert scripted.path.startswith("/oauth/authorize")
    assert "evil" not in scripted.driver.page_source
