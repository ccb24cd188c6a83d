"""Passkeys and a real identity provider in a real browser, also on the way to connecting an application."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.virtual_authenticator import VirtualAuthenticatorOptions

from server.settings import Settings
from tests.oauth.test_chromium import Listener, ask, listener
from tests.support.browser import Browser, browsing, serving
from tests.support.needs import find_node
from tests.support.served import listening

pytestmark = pytest.mark.needs("chromium")
__all__ = ["listener"]

FOLDER = Path(__file__).parent.parent / "identity_provider"
CLIENT = {"oidc_client_id": "selfmemory", "oidc_client_secret": "a secret of the tests, long enough"}


@pytest.fixture(scope="module")
def provider_port() -> int:
    with listening() as free:
        port: int = free.getsockname()[1]
    return port


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, provider_port: int) -> Iterator[Settings]:
    issuer = f"http://127.0.0.1:{provider_port}"
    with serving(tmp_path_factory.mktemp("site"), "localhost", oidc_issuer=issuer, oidc_name="Acme", **CLIENT) as site:
        yield site


@pytest.fixture
def provider(site: Settings, provider_port: int) -> Iterator[None]:
    """The provider, in a process of its own."""
    node = find_node()
    assert node
    given = [node, "provider.mjs", str(provider_port), f"{site.public_url}/sign-in/provider/callback"]
    with subprocess.Popen(given, cwd=FOLDER, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        yield
        process.terminate()


@contextlib.contextmanager
def with_device(site: Settings) -> Iterator[Browser]:
    """A browser on a device that keeps passkeys and knows its user."""
    options = VirtualAuthenticatorOptions(
        protocol=VirtualAuthenticatorOptions.Protocol.CTAP2,
        transport=VirtualAuthenticatorOptions.Transport.INTERNAL,
        has_resident_key=True,
        has_user_verification=True,
        is_user_verified=True,
    )
    with browsing(site.public_url) as browser:
        browser.driver.add_virtual_authenticator(options)
        yield browser


def test_a_passkey_is_added_and_signs_in_also_on_the_way_to_an_application(site: Settings, listener: Listener) -> None:
    with with_device(site) as browser:
        browser.open("/sign-up")
        browser.sign_up("ann@example.com", "Ann")
        browser.open("/dashboard/account")
        browser.press("Add passkeys")
        browser.write("Name", "This laptop")
        browser.press("Add passkey")
        assert browser.shows("Passkey added.")
        assert browser.shows("This laptop")

        browser.press("Sign out", ".side")
        browser.press("Sign in with a passkey")
        assert browser.path.startswith("/dashboard")

        browser.press("Sign out", ".side")
        ask(browser, listener.uri)
        browser.press("Sign in with a passkey")
        assert browser.shows("Connect “Notes”?")
        browser.press("Allow")
        assert browser.shows("You can close this page")
        assert set(listener.answers[0]) == {"code", "state", "iss"}
        problems = browser.driver.get_log("browser")  # type: ignore[no-untyped-call]  # selenium leaves it open
        assert [entry for entry in problems if "Content Security Policy" in entry["message"]] == []


def test_a_browser_that_has_no_passkeys_says_so(site: Settings) -> None:
    with browsing(site.public_url) as browser:
        without = {"source": "delete window.PublicKeyCredential;"}
        browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", without)
        browser.open("/sign-up")
        browser.sign_up("old@example.com", "Ann")
        browser.open("/dashboard/account/passkeys")
        assert browser.shows("This browser does not support passkeys.")
        assert "Add passkey" not in browser.text


def test_a_device_without_a_passkey_of_this_server_gets_a_sentence(site: Settings) -> None:
    with with_device(site) as browser:
        browser.open("/sign-in")
        browser.named("Sign in with a passkey").click()
        assert browser.shows("No passkey was used. Try again.")
        assert browser.path == "/sign-in"


def test_without_script_passkeys_are_not_offered(site: Settings) -> None:
    with browsing(site.public_url, script=False) as browser:
        browser.open("/sign-in")
        assert "passkey" not in browser.text


def sign_in_at_the_provider(browser: Browser, name: str) -> None:
    """Fill in the provider's own pages: who one is, and whether this server may know."""
    browser.press("Continue with Acme")
    login = browser.until(lambda: browser.driver.find_element(By.NAME, "login"), "no login")
    login.send_keys(name)
    browser.driver.find_element(By.NAME, "password").send_keys("any")
    browser.press_at("button[type=submit]")
    browser.press_at("button[type=submit]")


@pytest.mark.needs("identity provider")
@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_the_provider_signs_in_on_the_way_to_an_application(
    site: Settings, provider: None, listener: Listener, script: bool
) -> None:
    with browsing(site.public_url, script=script) as browser:
        ask(browser, listener.uri)
        sign_in_at_the_provider(browser, f"ben{script}".lower())
        assert browser.shows("Connect “Notes”?")
        browser.press("Allow")
        assert browser.shows("You can close this page")
        assert set(listener.answers[0]) == {"code", "state", "iss"}
        browser.open("/dashboard/account")
        assert browser.shows(f"ben{script}@example.com".lower())
        assert browser.shows("1 account at your sign-in provider")


@pytest.mark.needs("identity provider")
def test_an_address_that_the_provider_has_not_confirmed_gets_a_sentence(site: Settings, provider: None) -> None:
    with browsing(site.public_url) as browser:
        browser.open("/sign-up")
        sign_in_at_the_provider(browser, "unconfirmed")
        assert browser.shows("has not confirmed your email address")
