"""What the consent page offers: another account, without which people had to begin again, and the projects."""

import re
from dataclasses import replace
from html import unescape

import httpx

from tests.support.flows import App, Person, answer_of, is_page
from tests.support.visitors import seen


def link_to_another(page: httpx.Response) -> str:
    link = re.search(r'href="(/sign-in[^"]*)">Use another account<', page.text)
    assert link, page.text
    return unescape(link[1])


async def test_the_person_signs_in_to_another_account_and_decides(notes: App, ann: Person, ben: Person) -> None:
    page = await ann.open(notes.request(state="a b&switch=1"))
    anns = httpx.Cookies(ann.browser.cookies)
    ben_there = replace(ben, browser=ann.browser)
    own = await ben_there.follow(await ben_there.sign_in(link_to_another(page)))
    assert f"Signed in as {ben.email}" in seen(own)
    assert is_page(await ben_there.decide(page), 403)  # it was Ann's page
    answer = answer_of(await ben_there.decide(own))
    assert answer["state"] == "a b&switch=1"
    assert (await notes.redeem(answer["code"])).status_code == 200
    assert len((await ben_there.browser.get("/api/connections")).json()["connections"]) == 1
    ann.browser.cookies = anns
    assert (await ann.browser.get("/api/users/me")).status_code == 401  # a browser has one session


async def test_the_pages_behind_the_link_lead_back(notes: App, ann: Person) -> None:
    """Also sign-up, and a page that nobody signs in on: then Ann is still signed in."""
    page = await ann.open(notes.request())
    sign_in = await ann.browser.get(link_to_another(page))
    assert sign_in.status_code == 200
    sign_up = await ann.browser.get(unescape(re.findall(r'href="(/sign-up[^"]*)"', sign_in.text)[0]))
    assert sign_up.status_code == 200
    assert (await ann.browser.get(unescape(re.findall(r'href="(/sign-in[^"]*)"', sign_up.text)[0]))).status_code == 200
    wrong = await ann.browser.post(link_to_another(page), data={"email": ann.email, "password": "not the password"})
    assert wrong.status_code == 401
    assert re.findall(r'action="(/sign-in[^"]*)"', wrong.text)[0].endswith("&amp;switch=1")
    assert "code" in answer_of(await ann.decide(page))


async def test_projects_to_connect_are_sorted_without_case_and_accents(notes: App, ann: Person) -> None:
    await ann.open(notes.request())
    for name in ("Zoo", "Ärger", "apple"):
        answer = await ann.browser.post("/api/projects", json={"name": name, "organization_id": ann.organization_id})
        assert answer.status_code == 200, answer.text
    page = await ann.open(notes.request())
    names = re.findall(r"/ ([^<(]*?)\s*<", page.text.partition("<select")[2].partition("</select>")[0])
    assert names == ["apple", "Ärger", "My Memories", "Zoo"]
