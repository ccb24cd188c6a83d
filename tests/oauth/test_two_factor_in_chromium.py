"""Two-factor authentication in a real browser: set up, sign out, and sign in with a code inside an OAuth flow."""

from collections.abc import Iterator

import pytest

from server.settings import Settings
from tests.oauth.test_chromium import Listener, ask
from tests.oauth.test_chromium import listener as listener
from tests.support.accessibility import problems_here
from tests.support.authenticator import Authenticator
from tests.support.browser import PASSWORD, Browser, browsing, serving
from tests.support.two_factor import PAGE

pytestmark = pytest.mark.needs("chromium")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with serving(tmp_path_factory.mktemp("site")) as settings:
        yield settings


@pytest.fixture(params=[True, False], ids=["script", "no script"])
def browser(site: Settings, request: pytest.FixtureRequest) -> Iterator[Browser]:
    with browsing(site.public_url, script=request.param) as browser:
        yield browser


def set_up(browser: Browser, email: str) -> tuple[Authenticator, list[str]]:
    """Sign up and turn the second factor on. Return the app and the recovery codes."""
    browser.open("/sign-up")
    browser.sign_up(email, "Ann")
    browser.open("/dashboard/account")
    browser.press("Set up two-factor authentication")
    browser.press("Set up")
    app = Authenticator(browser.field("Or enter this key").get_attribute("value") or "")
    browser.write("Code from the app", app.wrong())
    browser.press("Turn on")
    assert browser.shows("this code is wrong")
    browser.write("Code from the app", app.code())
    browser.press("Turn on")
    assert browser.shows("Save your recovery codes")
    codes = browser.driver.find_element("id", "recovery-codes").text.split()
    browser.press("I saved them")
    assert browser.shows("10 of 10 left")
    return app, codes


def sign_in(browser: Browser, email: str) -> None:
    browser.write("Email address", email)
    browser.write("Password", PASSWORD)
    browser.press("Sign in")


def test_a_person_signs_in_with_a_code_inside_an_oauth_flow(browser: Browser, listener: Listener) -> None:
    email = f"{browser.driver.session_id}@example.com"
    app, codes = set_up(browser, email)
    for right in (app.code(), codes[0]):
        browser.open("/dashboard/account")
        browser.press("Sign out")
        ask(browser, listener.uri)
        sign_in(browser, email)
        assert browser.shows("Enter a code")
        assert browser.path.startswith("/sign-in/verify?next=/oauth/authorize")
        browser.write("Code", app.wrong())
        browser.press("Sign in")
        assert browser.shows("incorrect")
        browser.write("Code", right)
        browser.press("Sign in")
        assert browser.shows("Connect “Notes”?")
        browser.press("Allow")
        assert browser.shows("You can close this page")
        assert set(listener.answers.pop()) == {"code", "state", "iss"}


def test_turning_it_off_asks_who_is_there(site: Settings) -> None:
    with browsing(site.public_url, script=False) as browser:
        set_up(browser, "off@example.com")
        browser.press("Turn off")
        browser.press("Turn off two-factor")
        assert browser.shows("Confirm that it’s you")
        browser.write("Password", PASSWORD)
        browser.press("Continue")
        assert browser.shows("Two-factor authentication is off.")


def test_its_pages_fit_a_phone_and_have_no_serious_accessibility_problems(site: Settings) -> None:
    with browsing(site.public_url) as browser:
        browser.open("/sign-up")
        browser.sign_up("axel@example.com", "Axel")
        browser.open(PAGE)
        problems = problems_here(browser)
        browser.press("Set up")
        problems += problems_here(browser)
        app = Authenticator(browser.field("Or enter this key").get_attribute("value") or "")
        browser.write("Code from the app", app.code())
        browser.press("Turn on")
        problems += problems_here(browser)
        browser.press("I saved them")
        problems += problems_here(browser)
        browser.press("Turn off")
        browser.press("Turn off two-factor")
        problems += problems_here(browser)
        browser.open("/dashboard/account")
        browser.press("Sign out")
        sign_in(browser, "axel@example.com")
        browser.write("Code", app.wrong())
        browser.press("Sign in")
        problems += problems_here(browser)
        assert problems == []
