"""Checks a page with axe in a real browser."""

from axe_selenium_python import Axe  # type: ignore[import-untyped]  # it has no stubs

from tests.support.browser import Browser

NARROWEST = 320
"""The width in pixels at which no page may scroll sideways."""


def is_one_time_code(rule: str, element: str) -> bool:
    """Return whether axe is wrong: this version does not know HTML's `one-time-code`."""
    return rule == "autocomplete-valid" and 'autocomplete="one-time-code"' in element


def problems_here(browser: Browser) -> list[str]:
    """Return axe's serious and critical findings in light and dark and on a phone, and whether the page is too wide."""
    path = browser.path
    axe = Axe(browser.driver)
    axe.inject()
    problems = []
    for use_look in (browser.use_light, browser.use_dark, browser.use_phone):
        use_look()
        problems += [
            f"{path}, {use_look.__name__}: {violation['id']}: {node['html']}"
            for violation in axe.run()["violations"]
            if violation["impact"] in ("serious", "critical")
            for node in violation["nodes"]
            if not is_one_time_code(violation["id"], node["html"])
        ]
    browser.use_phone(NARROWEST)
    browser.until(lambda: _width(browser, "clientWidth") == NARROWEST, "the window stays wider")
    if _width(browser, "scrollWidth") > NARROWEST:
        problems.append(f"{path} is wider than a phone of {NARROWEST} pixels")
    browser.use_window()
    return problems


def _width(browser: Browser, name: str) -> int:
    width: int = browser.driver.execute_script(f"return document.documentElement.{name}")
    return width
