"""The dashboard's navigation on a narrow phone."""

from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from tests.support.accessibility import NARROWEST
from tests.support.browser import browsing, serving

pytestmark = pytest.mark.needs("chromium")


def test_every_page_of_a_project_is_reached_and_icons_have_labels(tmp_path: Path) -> None:
    with serving(tmp_path) as site, browsing(site.public_url) as ann:
        ann.open("/setup")
        ann.sign_up("ann@example.com", "Ann")
        project = ann.path
        ann.use_phone(NARROWEST)
        for page in ("activity", "connect", "keys", "members", "transfer", "settings", "memories"):
            ann.press_at(f"nav.project [href$='/{page}']")
            assert ann.path == f"{project}/{page}"
        labels = [item.text for item in ann.driver.find_elements(By.CSS_SELECTOR, "nav.own .item > span:first-of-type")]
        assert labels == ["Notifications", "Apps", "Organizations", "Ann"]


SMALL = """
return [...document.querySelectorAll("main :is(a.chip, summary, button:not(.hidden), label:has(input))")]
  .filter(element => element.checkVisibility() && element.getBoundingClientRect().width > 1)
  .filter(element => element.getBoundingClientRect().height < 24).map(element => element.outerHTML);
"""


def test_what_a_thumb_presses_in_a_list_is_large_enough(tmp_path: Path) -> None:
    with serving(tmp_path) as site, browsing(site.public_url) as ann:
        project = ann.begin("Anna likes tea.", "tea, food")
        ann.use_phone()
        memory = ann.path
        for page in (f"{project}/memories", f"{project}/memories?q=tea", memory, f"{memory}/edit"):
            ann.open(page)
            assert ann.driver.execute_script(SMALL) == [], page


BROKEN = """
return [...document.querySelectorAll("main :is(.button, .confirm > summary)")].flatMap((button) => {
  const isWord = (node) => node.nodeType === Node.TEXT_NODE && /^\\s*\\S+\\s*$/.test(node.data);
  const text = [...button.childNodes].find(isWord);
  const range = document.createRange();
  if (text && button.checkVisibility()) range.selectNodeContents(text);
  return new Set([...range.getClientRects()].map((line) => line.top)).size > 1 ? [button.outerHTML] : [];
});
"""


def test_no_button_breaks_its_word(tmp_path: Path) -> None:
    with serving(tmp_path) as site, browsing(site.public_url) as ann:
        project = ann.begin("Anna likes tea.")
        ann.use_phone()
        ann.open(f"{project}/keys")
        ann.write("Name", "Laptop")
        ann.press("Create API key")
        assert ann.named("Copy API key")
        assert ann.driver.execute_script(BROKEN) == []


CHAT = "You said:\nWhere?\nBot said:\nInto the box.\nYou said:\nThanks!\nBot said:\nMaren may not take penicillin."
IS_SHOWN = """
const mark = document.querySelector("main mark"), row = mark.closest(".text");
return mark.getBoundingClientRect().bottom <= row.getBoundingClientRect().bottom;
"""


def test_the_words_that_match_are_seen_below_short_lines(tmp_path: Path) -> None:
    with serving(tmp_path) as site, browsing(site.public_url) as ann:
        project = ann.begin(CHAT)
        for narrow in (False, True):
            if narrow:
                ann.use_phone()
            ann.open(f"{project}/memories?q=penicillin")
            assert ann.driver.execute_script(IS_SHOWN)
