"""Pages learn of new memories while somebody looks at them."""

from pathlib import Path

import pytest

from tests.support.browser import browsing, serving

pytestmark = pytest.mark.needs("chromium")

BEHIND = """
window.behind = true;
window.opened = 0;
Object.defineProperty(document, "hidden", { get: () => window.behind });
window.EventSource = class { static CLOSED = 2; constructor() { window.opened += 1; } close() {} };
"""


def test_a_page_behind_others_takes_none_of_the_few_streams(tmp_path: Path) -> None:
    with serving(tmp_path) as settings, browsing(settings.public_url) as browser:
        browser.begin("Anna likes tea.")
        browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": BEHIND})
        browser.open("/dashboard")
        assert browser.shows("Anna likes tea.")
        assert browser.driver.execute_script("return [opened, document.querySelectorAll('[data-live]').length]") == [
            0,
            1,
        ]
        browser.driver.execute_script("behind = false; document.dispatchEvent(new Event('visibilitychange'))")
        assert browser.driver.execute_script("return opened") == 1
