"""A form whose sending the person stopped, on a slow network for example."""

from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from tests.support.browser import browsing, serving

pytestmark = pytest.mark.needs("chromium")

SOONER = "const real = setTimeout; window.setTimeout = (then, ms) => real(then, ms > 5000 ? 300 : ms);"


def test_a_form_can_be_sent_again_after_its_sending_was_stopped(tmp_path: Path) -> None:
    with serving(tmp_path) as settings, browsing(settings.public_url) as browser:
        browser.open("/setup")
        browser.sign_up("ann@example.com", "Ann")
        browser.open(f"{browser.path.partition('?')[0]}/memories/new")
        browser.write("Text", "Written once, stopped, and sent again.")
        browser.driver.execute_script(SOONER + "addEventListener('submit', () => setTimeout(stop), {once: true});")
        button = browser.driver.find_element(By.CSS_SELECTOR, "main button.primary")
        button.click()
        browser.until(lambda: not button.is_enabled(), "the button is never disabled")
        browser.until(button.is_enabled, "the button stays disabled")
        browser.press("Add memory")
        assert browser.shows("Written once, stopped, and sent again.")
