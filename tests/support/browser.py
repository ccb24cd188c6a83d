"""A headless Chromium and a server on loopback, for tests and `make screenshots`."""

import atexit
import contextlib
import tempfile
import threading
from collections import defaultdict
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

T = TypeVar("T")
PASSWORD = "correct horse battery"
TIMEOUT_SECONDS = 60
"""A page may take this long, because a machine that runs tests and a browser can be slow."""
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP nas.local 127.0.0.1",
)


@contextlib.contextmanager
def serving(data_dir: Path, host: str = "127.0.0.1", **given: object) -> Iterator[Settings]:
    """Run the app on its own thread, on a free port of loopback. `host` is the host name for opening pages."""
    with listening() as listener:
        url = url_of(listener).replace("127.0.0.1", host)
        settings = read_settings(None, data_dir=data_dir, public_url=url, rate_limit_enabled=False, **given)
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
    """One user's browser. Finds pages by path, fields by label, buttons and links by name."""

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
        """Return True when the page shows `words`. Waits while a page loads."""
        return self.until(lambda: words in self.driver.find_element(By.TAG_NAME, "main").text, f"{words} is not shown")

    def until(self, look: Callable[[], T | None], missing: str) -> T:
        """Call `look` until it returns something, because another page may still be loading."""
        wait = WebDriverWait(self.driver, TIMEOUT_SECONDS, poll_frequency=0.05, ignored_exceptions=[WebDriverException])
        try:
            return wait.until(lambda _driver: look() or False)
        except TimeoutException as late:
            raise AssertionError(f"{missing} on {self.path}: {self.driver.page_source}") from late

    def field(self, label: str) -> WebElement:
        """Return the field with this accessible name."""
        return self.until(lambda: self._find(label, "input, textarea, select"), f"no field {label}")

    def named(self, words: str, within: str = "main") -> WebElement:
        """Return the link, button or summary whose accessible name starts with `words`."""
        return self.until(lambda: self._find(words, f"{within} :is(a, button, summary)"), f"nothing named {words}")

    def _find(self, words: str, selector: str) -> WebElement | None:
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
        """Click the link, button or summary, and wait for the next page."""
        self._click(self.named(words, within))

    def press_at(self, selector: str) -> None:
        """Like `press`, for an element without a name."""
        self._click(self.until(lambda: self.driver.find_element(By.CSS_SELECTOR, selector), f"no {selector}"))

    def _click(self, element: WebElement) -> None:
        """Click and wait for the next page: a click returns before the browser requests it."""
        is_summary = element.tag_name == "summary"
        document = self._document
        element.click()
        if not is_summary:
            self.until(lambda: self._document != document and self._is_complete, "the page stays")

    @property
    def _document(self) -> str:
        """Return an id that changes with every page load, even at the same address."""
        return str(self.driver.execute_cdp_cmd("Page.getFrameTree", {})["frameTree"]["frame"]["loaderId"])

    @property
    def _is_complete(self) -> bool:
        return bool(self.driver.execute_script("return document.readyState === 'complete'"))

    def keys(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()

    def sign_up(self, email: str, name: str) -> None:
        """Fill in the sign-up form that is open."""
        self.write("Email address", email)
        self.write("Name", name)
        self.write("Password", PASSWORD)
        self.press_at("main button.primary")

    def begin(self, text: str, tags: str = "") -> str:
        """Sign up as Ann, the first person, and add a memory, whose page is then open. Return her project's path."""
        self.open("/setup")
        self.sign_up("ann@example.com", "Ann")
        project = self.path.partition("?")[0]
        self.open(f"{project}/memories/new")
        self.write("Text", text)
        if tags:
            self.write("Tags", tags)
        self.press("Add memory")
        return project

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

    def use_phone(self, width: int = 390) -> None:
        size = {"width": width, "height": 844, "deviceScaleFactor": 2, "mobile": True}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def use_window(self) -> None:
        """Go back to the size of a desktop window."""
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


_idle: dict[tuple[bool, bool], list[webdriver.Chrome]] = defaultdict(list)
"""Browsers of each kind that no test uses: starting one takes longer than most tests."""

_until_exit = contextlib.ExitStack()
atexit.register(_until_exit.close)


@contextlib.contextmanager
def browsing(base: str, *, script: bool = True, network: bool = False) -> Iterator[Browser]:
    """Yield a browser in a new window, without cookies and stored data. With `network` it logs its requests."""
    idle = _idle[script, network]
    driver = idle.pop() if idle else _until_exit.enter_context(_started(script=script, network=network))
    yield Browser(driver, base)
    _forget(driver, base)
    idle.append(driver)


def _forget(driver: webdriver.Chrome, base: str) -> None:
    """Close all windows and open a new one, which has no emulation, and delete what the browser keeps."""
    old = driver.window_handles
    driver.switch_to.new_window("tab")
    new = driver.current_window_handle
    for window in old:
        driver.switch_to.window(window)
        driver.close()
    driver.switch_to.window(new)
    driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    driver.execute_cdp_cmd("Network.clearBrowserCache", {})
    driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": base, "storageTypes": "all"})
    driver.get_log("browser")  # type: ignore[no-untyped-call]  # selenium leaves it open


@contextlib.contextmanager
def _started(*, script: bool, network: bool) -> Iterator[webdriver.Chrome]:
    """Start a browser with a new profile."""
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
            yield driver
        finally:
            driver.quit()
