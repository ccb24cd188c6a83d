"""States of pages for `make screenshots` that give access: consent, and a change of the address that signs in."""

from pathlib import Path

import httpx

from tests.dashboard.screenshot_states import Shoot
from tests.support.browser import PASSWORD, TIMEOUT_SECONDS, Browser, browsing, serving
from tests.support.flows import challenge_of, new_verifier
from tests.support.mail import Mailbox, link_in, mail_server


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


def shoot_change_of_address(folder: Path, shoot: Shoot) -> None:
    """A change of address on a server that sends email: the request, and the link in another browser and at home."""
    with (
        mail_server() as (smtp_url, mailbox),
        serving(folder, smtp_url=smtp_url, mail_from="memory@example.com") as settings,
        browsing(settings.public_url) as browser,
    ):
        browser.open("/setup")
        browser.sign_up("alice@example.com", "Alice Moreau")
        browser.open("/dashboard/account")
        browser.write("New email address", "alice@orchard.example")
        browser.press("Change address")
        shoot(browser, "account-change-requested")
        browser.write("New email address", "alice@example.com")
        browser.press("Change address")
        shoot(browser, "account-change-refused")
        link = browser.until(lambda: link_to(mailbox, "alice@orchard.example"), "no letter")
        with browsing(settings.public_url) as elsewhere:
            elsewhere.open(link)
            shoot(elsewhere, "change-elsewhere")
            elsewhere.write("Password", "not this one")
            elsewhere.press("Confirm")
            shoot(elsewhere, "change-refused")
        browser.open(link)
        shoot(browser, "change-done")
        browser.open("/dashboard/account")
        browser.write("New email address", "alice@home.example")
        browser.press("Change address")
        link = browser.until(lambda: link_to(mailbox, "alice@home.example"), "no letter")
        with browsing(settings.public_url) as elsewhere:
            elsewhere.open(link)
            elsewhere.write("Password", PASSWORD)
            elsewhere.press("Confirm")
            shoot(elsewhere, "change-done-elsewhere")


def link_to(mailbox: Mailbox, email: str) -> str | None:
    return next((link_in(letter) for letter in mailbox.letters if letter["to"] == email), None)
