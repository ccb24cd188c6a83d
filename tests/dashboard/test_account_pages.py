"""The pages for signed-out visitors: headers, forms of other sites, use without script."""

import re

import httpx
import pytest

from tests.support.browsers import FORMS, PASSWORD, sign_up

OTHER_SITE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}


@pytest.mark.parametrize("path", [*FORMS, "/sign-out"])
async def test_r23_forms_of_other_sites_are_refused(client: httpx.AsyncClient, path: str) -> None:
    await sign_up(client)
    answer = await client.post(path, data={"email": "ann@example.com", "password": PASSWORD}, headers=OTHER_SITE)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert (await client.get("/api/users/me")).status_code == 200
    old_browser = await client.post(path, data={}, headers={"Origin": "https://evil.example"})
    assert old_browser.status_code == 403


@pytest.mark.parametrize("path", [*FORMS, "/nowhere", "/reset-password/x", "/accept-invitation/x"])
async def test_053_pages_cannot_be_framed_or_cached_and_have_no_inline_code(
    client: httpx.AsyncClient, path: str
) -> None:
    page = await client.get(path)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cache-control"] == "no-store"
    assert not re.search(r"<style|style=|onclick=|<script(?! src=\"/)|(?:src|href)=\"(?:https?:)?//", page.text)


@pytest.mark.parametrize("path", FORMS)
async def test_pages_work_without_script_and_with_a_password_manager(client: httpx.AsyncClient, path: str) -> None:
    text = (await client.get(path)).text
    assert '<html lang="en">' in text
    assert text.count("<h1>") == 1
    fields = re.findall(r'<input id="(\w+)" name="\1" [^>]*autocomplete="[a-z-]+"', text)
    assert fields
    assert all(f'<label for="{field}">' in text for field in fields)


async def test_a_missing_address_is_a_page_for_people_and_json_for_programs(client: httpx.AsyncClient) -> None:
    browsers = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    page = await client.get("/nowhere", headers=browsers)
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    answer = await client.get("/api/nowhere", headers=browsers)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})


async def test_malformed_forms_are_refused(client: httpx.AsyncClient) -> None:
    assert (await client.post("/sign-in", json={"email": "a@example.com", "password": "x"})).status_code == 415
    large = await client.post("/sign-in", data={"email": "x" * 100_000})
    assert large.status_code == 413
    zero = await client.post("/sign-up", data={"email": "a\0@example.com", "password": PASSWORD})
    assert zero.status_code == 400
    many = await client.post("/sign-in", data={f"f{number}": "" for number in range(30)})
    assert many.status_code == 400


async def test_an_invitation_that_does_not_exist_says_what_to_do(client: httpx.AsyncClient) -> None:
    answer = await client.get("/accept-invitation/x")
    assert answer.status_code == 404
    assert "<h1>Invitation not found</h1>" in answer.text
    assert "ask the person who invited you for a new one" in answer.text
