"""Texts that are written from right to left."""

from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from tests.support.browser import browsing, serving

pytestmark = pytest.mark.needs("chromium")


def test_each_field_takes_the_direction_of_what_is_typed(tmp_path: Path) -> None:
    with serving(tmp_path) as site, browsing(site.public_url) as ann:
        ann.open("/setup")
        ann.sign_up("ann@example.com", "Ann")
        project = ann.path
        for page in ("memories/new", "memories", "settings"):
            ann.open(f"{project}/{page}")
            fields = ann.driver.find_elements(By.CSS_SELECTOR, "main :is(textarea, input, select)")
            assert fields
            assert {field.value_of_css_property("unicode-bidi") for field in fields} == {"plaintext"}
