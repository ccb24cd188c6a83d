"""Commands and shortcuts of the dashboard in a real browser."""

from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By

from server.models import Notification, User
from server.storage.database import Database
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


def test_the_palette_finds_notifications_that_are_unread(tmp_path: Path) -> None:
    with serving(tmp_path) as site, browsing(site.public_url) as ann:
        ann.open("/setup")
        ann.sign_up("ann@example.com", "Ann")
        assert ann.shows("Get started")
        url = site.database_url.get_secret_value()
        with closing(Database(url, connections=1)) as database, database.write() as session:
            user = session.scalars(sa.select(User)).one()
            session.add(Notification(user_id=user.id, type="removed", title="Removed", message="You were removed."))
        ann.open(ann.path)
        assert ann.driver.find_elements(By.CSS_SELECTOR, ".own .badge")
        ActionChains(ann.driver).key_down(Keys.CONTROL).send_keys("k").key_up(Keys.CONTROL).perform()
        ann.keys("notif")
        found = ann.driver.find_elements(By.CSS_SELECTOR, "dialog[open] li")
        assert found[0].text == "Notifications"


def test_details_are_rows_that_the_script_adds_removes_and_changes(tmp_path: Path) -> None:
    with serving(tmp_path) as site, browsing(site.public_url) as ann:
        ann.open("/setup")
        ann.sign_up("ann@example.com", "Ann")
        ann.open(f"{ann.path}/memories/new")
        ann.write("Text", "Pay the invoice.")
        ann.press("More details")
        for name, kind, value in (("paid", "True/false", None), ("amount", "Number", "42.5"), ("gone", "List", "a")):
            row = ann.driver.find_elements(By.CSS_SELECTOR, ".detail")[-1]
            row.find_element(By.NAME, "names").send_keys(name)
            row.find_element(By.XPATH, f".//option[.='{kind}']").click()
            if value:
                row.find_element(By.NAME, "values").send_keys(value)
            ann.named("Add detail").click()
        ann.driver.find_elements(By.CSS_SELECTOR, ".detail button")[2].click()
        ann.field("Text").send_keys(Keys.TAB)
        ann.press("Add memory")
        assert ann.shows("Memory added")
        assert [row.text for row in ann.driver.find_elements(By.CSS_SELECTOR, ".facts :is(dt, dd)")[:4]] == [
            "paid", "true", "amount", "42.5",
        ]  # fmt: skip


def test_after_a_deletion_the_message_is_read_and_undo_is_next(tmp_path: Path) -> None:
    with serving(tmp_path) as site, browsing(site.public_url) as ann:
        ann.begin("Anna likes tea.")
        assert ann.driver.switch_to.active_element.text.startswith("Memory added")
        ann.press("Delete")
        assert ann.shows("Memory deleted")
        assert ann.driver.switch_to.active_element.text.startswith("Memory deleted")
        names = []
        for _ in range(2):
            ann.keys(Keys.TAB)
            names.append(ann.driver.switch_to.active_element.text)
        assert "Undo" in names
