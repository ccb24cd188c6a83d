"""A real Chromium, headless, and a real server on loopback for it; used by the tests and by `make screenshots`."""

import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import uvicorn
from selenium import webdriver
from selenium.common.exceptions import TimeoutException, WebDriverException
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from server.app import create_app
from server.settings import Settings, read_settings
from tests.support.fakes import WordEmbedder
from tests.support.served import listening, url_of

Found = TypeVar("Found")
PASSWORD = "correct horse battery"
SECONDS = 60
"""The longest that a page may take to come: a machine that runs a browser beside the tests can be slow."""
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


@contextlib.contextmanager
def serving(data_dir: Path) -> Iterator[Settings]:
    """The whole app on a thread of its own, behind a socket on loopback."""
    with listening() as listener:
        settings = read_settings(None, data_dir=data_dir, public_url=url_of(listener), rate_limit_enabled=False)
        app = create_app(settings, lambda _settings: WordEmbedder())
        config = uvicorn.Config(app, log_config=None, access_log=False, proxy_headers=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield settings
        finally:
            server.should_exit = True
            thread.join()


class Browser:
    """One person at one browser: pages by their path, fields by their label, buttons by their words."""

    def __init__(self, driver: webdriver.Chrome, base: str) -> None:
        self.driver = driver
        self.base = base

    def open(self, path: str) -> None:
        self.driver.get(self.base + path)

    @property
    def path(self) -> str:
        return self.driver.current_url.removeprefix(self.base)

    @property
    def text(self) -> str:
        return self.until(lambda: self.driver.find_element(By.TAG_NAME, "main").text, "no text")

    def shows(self, words: str) -> bool:
        """Whether the page says so, now or once what was pressed has led there."""
        return self.until(lambda: words in self.driver.find_element(By.TAG_NAME, "main").text, f"{words} is not shown")

    def until(self, look: Callable[[], Found | None], missing: str) -> Found:
        """What a look finds, taken anew as a whole until it does: the page may be giving way to another meanwhile."""
        wait = WebDriverWait(self.driver, SECONDS, poll_frequency=0.05, ignored_exceptions=[WebDriverException])
        try:
            return wait.until(lambda _driver: look() or False)
        except TimeoutException as late:
            raise AssertionError(f"{missing} on {self.path}: {self.driver.page_source}") from late

    def field(self, label: str) -> WebElement:
        """The field that is labelled so, for the eye or for a screen reader."""
        return self.until(lambda: self._called(label, "input, textarea, select"), f"no field {label}")

    def named(self, words: str, within: str = "main") -> WebElement:
        """The link, button or fold that is called so."""
        return self.until(lambda: self._called(words, f"{within} :is(a, button, summary)"), f"nothing called {words}")

    def _called(self, words: str, selector: str) -> WebElement | None:
        for element in self.driver.find_elements(By.CSS_SELECTOR, selector):
            if element.accessible_name.startswith(words) and element.is_displayed():
                return element
        return None

    def write(self, label: str, text: str) -> None:
        field = self.field(label)
        field.clear()
        field.send_keys(text)

    def choose(self, label: str, option: str) -> None:
        field = self.field(label)
        field.find_element(By.XPATH, f".//option[normalize-space()='{option}']").click()

    def press(self, words: str, within: str = "main") -> None:
        """Press what is called so, and wait for the page that it leads to."""
        self._click(self.named(words, within))

    def press_at(self, selector: str) -> None:
        """The same, of what has no words of its own to go by."""
        self._click(self.until(lambda: self.driver.find_element(By.CSS_SELECTOR, selector), f"no {selector}"))

    def _click(self, element: WebElement) -> None:
        """A click comes back before the browser has asked for the next page: whoever looks then, looks at the old."""
        stays = element.tag_name == "summary"
        left = self._document
        element.click()
        if not stays:
            self.until(lambda: self._document != left and self._complete, "the page stays")

    @property
    def _document(self) -> str:
        """Another one for each page that was loaded, even from the same address."""
        return str(self.driver.execute_cdp_cmd("Page.getFrameTree", {})["frameTree"]["frame"]["loaderId"])

    @property
    def _complete(self) -> bool:
        return bool(self.driver.execute_script("return document.readyState === 'complete'"))

    def keys(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()

    def sign_up(self, email: str, name: str) -> None:
        """From the page that is open, to where it leads."""
        self.write("E-mail address", email)
        self.write("Name", name)
        self.write("Password", PASSWORD)
        self.press_at("main button.primary")

    def use_zone(self, zone: str) -> None:
        self.driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": zone})

    def use_dark(self) -> None:
        self._prefer("dark")

    def use_light(self) -> None:
        self._prefer("light")

    def _prefer(self, scheme: str) -> None:
        wanted = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wanted.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def use_phone(self) -> None:
        size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def use_window(self) -> None:
        """No longer a phone."""
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@contextlib.contextmanager
def browsing(base: str, *, script: bool = True, network: bool = False) -> Iterator[Browser]:
    """A browser with a profile of its own, which nobody used before; `network` keeps what it asks for, in a log."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"} | ({"performance": "ALL"} if network else {}))
    if not script:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS, "--window-size=1280,900", f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
        driver.implicitly_wait(0)
        try:
            yield Browser(driver, base)
        finally:
            driver.quit()
