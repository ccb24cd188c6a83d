"""Browsers in a private network. Over plain http it sends no Sec-Fetch-Site, and Origin only if the page allows it."""

from pathlib import Path

import pytest

from tests.support.browser import browsing, serving

pytestmark = pytest.mark.needs("chromium")


def test_a_browser_signs_up_at_a_private_name_over_plain_http(tmp_path: Path) -> None:
    with serving(tmp_path, "nas.local", secret_key="k" * 32) as settings, browsing(settings.public_url) as browser:
        browser.open("/setup")
        browser.sign_up("ann@example.com", "Ann")
        assert browser.shows("Get started")
        browser.press("Connect an assistant")
        browser.driver.find_element("css selector", "[data-copy] button").click()
        assert browser.shows("Copied")


def test_a_browser_at_the_wrong_address_is_shown_the_right_one(tmp_path: Path) -> None:
    with serving(tmp_path) as settings, browsing(settings.public_url.replace("127.0.0.1", "nas.local")) as browser:
        browser.open("/setup")
        browser.write("Name", "Ann")
        browser.write("Email address", "ann@example.com")
        browser.write("Password", "correct horse battery")
        browser.press("Create account")
        assert browser.shows("Wrong address")
        assert browser.shows(f"the address of this server is {settings.public_url}: open it there.")
        browser.press(f"Open {settings.public_url}")
        assert browser.driver.current_url.startswith(settings.public_url)
