"""All text grows with the text size that a person sets in the browser."""

from pathlib import Path

import pytest

from tests.support.browser import browsing, serving

pytestmark = pytest.mark.needs("chromium")

STAYS_SMALL = """
const shown = [...document.querySelectorAll("body *")].filter(element => element.checkVisibility()
  && !element.closest("svg, .hidden, input:is([type=checkbox], [type=radio])")
  && (element.matches("input, select, textarea") || element.innerText));
const size = element => parseFloat(getComputedStyle(element).fontSize);
const before = new Map(shown.map(element => [element, size(element)]));
document.documentElement.style.fontSize = "200%";
const small = shown.filter(element => size(element) < 1.9 * before.get(element));
return small.map(element => element.outerHTML.slice(0, 80));
"""
IS_WIDER = "return document.documentElement.scrollWidth > document.documentElement.clientWidth"


def test_text_twice_as_large_is_twice_as_large_everywhere_and_fits(tmp_path: Path) -> None:
    with serving(tmp_path) as site, browsing(site.public_url) as ann:
        project = ann.begin("Anna likes tea.")
        memory = ann.path
        pages = (project, f"{project}/memories", f"{project}/memories?q=tea", f"{memory}/edit", f"{project}/connect")
        for narrow in (False, True):
            if narrow:
                ann.use_phone()
            for page in (*pages, memory, f"{project}/keys", f"{project}/members", "/dashboard/account", "/docs"):
                ann.open(page)
                assert ann.driver.execute_script(STAYS_SMALL) == [], page
                assert not ann.driver.execute_script(IS_WIDER), page
