"""People choose a theme and a time format for their browser; without a choice the system and the browser decide."""

import re

import pytest

from tests.support.visitors import Visitor

ACCOUNT = "/dashboard/account"


async def pressed(visitor: Visitor, name: str) -> list[str]:
    """Return the labels of the options that the account page shows as chosen."""
    page = (await visitor.get(ACCOUNT)).text
    return re.findall(rf'name="{name}" value="\w*" aria-pressed="true">([^<]+)<', page)


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_a_chosen_theme_stays_until_it_is_taken_back(ann: Visitor, theme: str) -> None:
    assert "data-theme" not in (await ann.get(ann.project)).text
    await ann.do(f"{ACCOUNT}/theme", {"theme": theme})
    assert f'<html lang="en" data-theme="{theme}">' in (await ann.get(ann.project)).text
    await ann.do(f"{ACCOUNT}/theme", {"theme": ""})
    assert "data-theme" not in (await ann.get(ann.project)).text


@pytest.mark.parametrize(("value", "label"), [("h12", "12-hour"), ("h23", "24-hour")])
async def test_a_chosen_time_format_stays_until_it_is_taken_back(ann: Visitor, value: str, label: str) -> None:
    assert await pressed(ann, "time-format") == ["Same as the browser"]
    answer = await ann.post(f"{ACCOUNT}/time-format", {"time-format": value})
    assert answer.headers["location"] == f"{ACCOUNT}?done=time-format-saved"
    assert f"time-format={value}; Max-Age=31536000; Path=/; SameSite=lax" in answer.headers["set-cookie"]
    assert "Time format saved." in (await ann.get(answer.headers["location"])).text
    assert await pressed(ann, "time-format") == [label]
    assert await pressed(ann, "theme") == ["Same as the system"]
    await ann.do(f"{ACCOUNT}/time-format", {"time-format": ""})
    assert "time-format" not in ann.client.cookies
    assert await pressed(ann, "time-format") == ["Same as the browser"]


@pytest.mark.parametrize(("name", "title"), [("theme", "Theme"), ("time-format", "Time format")])
async def test_an_unknown_choice_is_refused_and_a_foreign_cookie_ignored(ann: Visitor, name: str, title: str) -> None:
    refused = await ann.post(f"{ACCOUNT}/{name}", {name: "pink"})
    assert refused.status_code == 400
    assert f"{title}: choose one of the options." in refused.text
    ann.client.cookies.set(name, 'x" onload="y')
    assert "onload" not in (await ann.get(ann.project)).text
    assert len(await pressed(ann, name)) == 1
