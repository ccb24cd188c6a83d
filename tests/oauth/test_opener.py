"""A client that opens the authorization page as a pop-up keeps access to that window during the whole flow.

In a real browser: test_chromium.py.
"""

import re

import httpx
import pytest

from tests.support.flows import PASSWORD, App, Person, form_of

PATHS = [
    "/oauth/authorize", "/oauth/consent/request_x", "/sign-in", "/sign-in/verify", "/sign-in/provider",
    "/sign-in/provider/callback", "/sign-in/passkey", "/sign-up", "/sign-out", "/setup", "/forgot-password",
    "/reset-password/x", "/verify-email/x", "/accept-invitation/x", "/nothing", "/",
]  # fmt: skip


def is_kept(response: httpx.Response) -> bool:
    return response.headers["cross-origin-opener-policy"] == "unsafe-none"


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_of_a_flow_keeps_the_opener(client: httpx.AsyncClient, path: str) -> None:
    """Pages, redirects and errors, for a form and for what is none."""
    for accept in ("text/html", "*/*"):
        headers = {"Accept": accept}
        for response in (
            await client.get(path, headers=headers),
            await client.head(path, headers=headers),
            await client.post(path, data={"email": "a@example.com", "password": "x"}, headers=headers),
            await client.post(path, json={}, headers=headers),
            await client.post(path, data={}, headers=headers | {"Origin": "https://evil.example"}),
        ):
            assert is_kept(response), (response.request.method, response.status_code)


@pytest.mark.settings(rate_limit_enabled=True, rate_limit_request="1/minute", rate_limit_sign_in="1/minute")
async def test_a_limit_keeps_the_opener(client: httpx.AsyncClient) -> None:
    answers = [await client.post("/sign-in", data={"email": "a@example.com", "password": "x"}) for _ in range(3)]
    assert answers[-1].status_code == 429
    assert all(map(is_kept, answers))


async def test_the_whole_flow_keeps_the_opener(notes: App, ann: Person) -> None:
    """To sign-in, back, to the consent page, and to the client: allowed, denied and refused."""
    passed = [await ann.browser.get("/oauth/authorize", params=notes.request())]
    passed.append(await ann.browser.get(passed[0].headers["location"]))
    form = form_of(passed[-1])
    passed.append(await ann.browser.post(form.action, data={"email": ann.email, "password": PASSWORD}))
    passed.append(await ann.browser.get(passed[-1].headers["location"]))
    page = passed[-1]
    passed.append(await ann.decide(page, "allow"))
    passed.append(await ann.decide(page, "deny"))
    passed.append(await ann.browser.get("/oauth/authorize", params=notes.request(response_type="token")))
    assert [response.status_code for response in passed] == [303, 200, 303, 200, 303, 303, 303]
    assert all(map(is_kept, passed))


async def test_the_request_is_kept_through_every_page_before_sign_in(notes: App, ann: Person) -> None:
    """Each page links to the others and keeps where the person came from."""
    begun = await ann.browser.get("/oauth/authorize", params=notes.request())
    query = begun.headers["location"].partition("?")[2]
    for path, others in {
        "/sign-in": ("/sign-up", "/forgot-password"), "/sign-up": ("/sign-in",), "/forgot-password": ("/sign-in",),
    }.items():  # fmt: skip
        page = await ann.browser.get(f"{path}?{query}")
        links = re.findall(r'(?:href|action)="([^"]+\?next=[^"]+)"', page.text)
        for other in (path, *others):
            assert "/oauth/authorize" in next(link for link in links if link.startswith(f"{other}?"))


async def test_the_dashboard_keeps_other_windows_out(ann: Person) -> None:
    await ann.sign_in()
    page = await ann.browser.get("/dashboard", follow_redirects=True)
    assert page.status_code == 200
    assert page.headers["cross-origin-opener-policy"] == "same-origin"
