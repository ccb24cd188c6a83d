"""People choose light or dark for their browser; without a choice the system decides."""

import pytest

from tests.support.visitors import Visitor


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_a_chosen_theme_stays_until_it_is_taken_back(ann: Visitor, theme: str) -> None:
    assert "data-theme" not in (await ann.get(ann.project)).text
    await ann.do("/dashboard/account/theme", {"theme": theme})
    assert f'<html lang="en" data-theme="{theme}">' in (await ann.get(ann.project)).text
    await ann.do("/dashboard/account/theme", {"theme": ""})
    assert "data-theme" not in (await ann.get(ann.project)).text


async def test_an_unknown_theme_is_refused_and_a_foreign_cookie_ignored(ann: Visitor) -> None:
    assert (await ann.post("/dashboard/account/theme", {"theme": "pink"})).status_code == 400
    ann.client.cookies.set("theme", 'x" onload="y')
    assert "onload" not in (await ann.get(ann.project)).text
