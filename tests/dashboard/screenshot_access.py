"""States of pages for `make screenshots` that give access: consent, and a change of the address that signs in."""

import httpx

from tests.dashboard.screenshot_states import Shoot
from tests.support.browser import TIMEOUT_SECONDS, Browser
from tests.support.flows import challenge_of, new_verifier


def shoot_app(browser: Browser, shoot: Shoot) -> None:
    """An application that asks for access, and its connection."""
    redirect_uri = "http://127.0.0.1:9/callback"
    registration = {"client_name": "Claude Code", "redirect_uris": [redirect_uri], "token_endpoint_auth_method": "none"}
    made = httpx.post(f"{browser.base}/oauth/register", json=registration, timeout=TIMEOUT_SECONDS).json()
    verifier = new_verifier()
    query = httpx.QueryParams(
        response_type="code", client_id=made["client_id"], redirect_uri=redirect_uri, state="s",
        scope="memories:read memories:write", code_challenge_method="S256",
        code_challenge=challenge_of(verifier),
    )  # fmt: skip
    browser.open(f"/oauth/authorize?{query}")
    shoot(browser, "consent")
    browser.field("Can only read").click()
    browser.press("Allow")
    code = browser.until(lambda: httpx.URL(browser.driver.current_url).params.get("code"), "no code")
    form = {"grant_type": "authorization_code", "client_id": made["client_id"], "code": code, "code_verifier": verifier}
    httpx.post(f"{browser.base}/oauth/token", data=form, timeout=TIMEOUT_SECONDS).raise_for_status()
    browser.open(f"/oauth/authorize?{query}")
    shoot(browser, "consent-read-only")
    browser.open("/dashboard/connections")
    shoot(browser, "connections-read-only")
    browser.open("/oauth/authorize?client_id=nobody")
    shoot(browser, "consent-problem")
