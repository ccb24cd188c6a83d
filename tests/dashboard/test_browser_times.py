"""Times in the chosen format, in a real browser."""

import re
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from tests.support.browser import browsing, serving

pytestmark = pytest.mark.needs("chromium")


def test_times_are_shown_in_the_chosen_format(tmp_path: Path) -> None:
    with serving(tmp_path) as site, browsing(site.public_url) as ann:
        ann.use_zone("UTC")
        ann.open("/setup")
        ann.sign_up("ann@example.com", "Ann")
        for label, pattern in (("12-hour", r" \d{1,2}:\d\d\s[AP]M$"), ("24-hour", r" \d\d:\d\d$")):
            ann.open("/dashboard/account")
            ann.press(label)
            times = ann.driver.find_elements(By.CSS_SELECTOR, "time:not([data-as])")
            assert times
            assert all(re.search(pattern, time.text) for time in times), [time.text for time in times]
            assert ("M UTC" in (times[0].get_attribute("title") or "")) == (label == "12-hour")
