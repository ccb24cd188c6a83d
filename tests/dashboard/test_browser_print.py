"""Pages on paper."""

from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from tests.support.browser import browsing, serving

pytestmark = pytest.mark.needs("chromium")

INK = "return getComputedStyle(document.querySelector('main h1')).color"


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_a_page_is_printed_in_dark_ink_without_navigation_and_buttons(tmp_path: Path, theme: str) -> None:
    with serving(tmp_path) as settings, browsing(settings.public_url) as ann:
        project = ann.begin("To be printed.")
        ann.driver.add_cookie({"name": "theme", "value": theme.lower(), "path": "/"})
        ann.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        ann.open(f"{project}/memories")
        ann.press_at(".memory a")
        assert ann.driver.find_element(By.TAG_NAME, "html").get_attribute("data-theme") == theme.lower()
        assert ann.driver.execute_script(INK) == "rgb(27, 27, 33)"
        shown = ann.driver.find_elements(By.CSS_SELECTOR, "nav, .side, button, .button")
        assert not [element for element in shown if element.is_displayed()]
        assert "To be printed." in ann.text
        main = ann.driver.find_element(By.TAG_NAME, "main").rect
        assert main["width"] > 600
