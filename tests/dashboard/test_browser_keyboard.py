"""Commands and shortcuts of the dashboard in a real browser."""

from pathlib import Path

import pytest
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By

from tests.support.browser import browsing, serving

pytestmark = pytest.mark.needs("chromium")


def test_commands_and_shortcuts_open_from_the_keyboard(tmp_path: Path) -> None:
    with serving(tmp_path) as site, browsing(site.public_url) as ann:
        ann.open("/setup")
        ann.sign_up("ann@example.com", "Ann")
        assert ann.shows("Get started")
        ActionChains(ann.driver).key_down(Keys.CONTROL).send_keys("k").key_up(Keys.CONTROL).perform()
        ann.until(lambda: ann.driver.find_element(By.CSS_SELECTOR, "dialog[open] input").is_displayed(), "no palette")
        ann.keys("api k", Keys.ENTER)
        ann.until(lambda: "/keys" in ann.path, "the palette led nowhere")
        ann.keys("?")
        ann.until(
            lambda: "Keyboard shortcuts" in ann.driver.find_element(By.CSS_SELECTOR, "dialog[open]").text, "no list"
        )
        ann.keys(Keys.ESCAPE)
        ann.until(lambda: not ann.driver.find_elements(By.CSS_SELECTOR, "dialog[open]"), "the list stays")
        ann.keys("g", "m")
        ann.until(lambda: ann.path.endswith("/memories"), "the shortcut led nowhere")
        for name in ("Area 17", "Area 7"):
            ann.open("/dashboard/organizations")
            ann.write("Project name", name)
            ann.press("Create project")
        ActionChains(ann.driver).key_down(Keys.CONTROL).send_keys("k").key_up(Keys.CONTROL).perform()
        ann.keys("area 7")
        assert ann.driver.find_element(By.CSS_SELECTOR, "dialog[open] li").text == "Project: Area 7"
