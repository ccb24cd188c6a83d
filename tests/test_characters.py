"""Text with thousands of marks on one letter costs no more than other text, through every door."""

import re
import unicodedata

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.text import characters
from tests.conftest import Tenant
from tests.support.browsers import sign_in

MANY_MARKS = "caf\u00e9 a" + "\u0301" * 4_000 + "\u0316" * 4_000
NEARLY_TOO_MANY = "a" + "\u0301" * 15 + "\u0316" * 15
SORTED = re.compile("[\u0300-\u034e\u0350-\u036f]+")


@pytest.fixture
def longest(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many marks Python had to sort, for each text that was normalized."""
    sorted_marks: list[int] = []

    normalize = unicodedata.normalize

    def record(form: str, text: str) -> str:
        sorted_marks.append(max(map(len, SORTED.findall(text)), default=0))
        return normalize(form, text)  # type: ignore[arg-type]  # the name of a form

    monkeypatch.setattr(unicodedata, "normalize", record)
    return sorted_marks


async def test_a_memory_of_marks_costs_as_much_as_any_other_and_is_found(
    client: httpx.AsyncClient, alice: Tenant, longest: list[int]
) -> None:
    memory = {"content": MANY_MARKS, "tags": [MANY_MARKS[:80]], "metadata": {"k": MANY_MARKS[:5_000]}}
    assert (await client.post("/api/memories", json=memory, headers=alice.auth)).status_code == 200
    for question in ("cafe", MANY_MARKS):
        found = await client.post("/api/memories/search", json={"query": question}, headers=alice.auth)
        assert [one["content"] for one in found.json()["results"]] == [MANY_MARKS]
    assert 0 < max(longest) <= characters.MOST_MARKS


async def test_a_stranger_cannot_make_the_server_sort_marks(client: httpx.AsyncClient, longest: list[int]) -> None:
    assert (await sign_in(client, MANY_MARKS[:3_000], MANY_MARKS[:3_000])).status_code == 401
    body = {"client_name": MANY_MARKS[:3_000], "redirect_uris": ["https://example.com/callback"]}
    assert (await client.post("/oauth/register", json=body)).status_code in (201, 400)
    refused = await client.post("/oauth/register", json={"redirect_uris": [f"http://{MANY_MARKS}"]})
    assert refused.status_code == 400
    url = f"https://a{MANY_MARKS[3_950:4_100]}/x"
    query = {"client_id": url, "resource": url, "response_type": "code"}
    assert (await client.get("/oauth/authorize", params=query)).status_code == 400
    assert 0 < max(longest) <= characters.MOST_MARKS


@given(st.text(), st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_usual_text_has_its_usual_form(text: str, form: str) -> None:
    assert characters.normalize(form, text) == unicodedata.normalize(form, text)  # type: ignore[arg-type]
    longer = f"{NEARLY_TOO_MANY}x{text}"  # without the x, a text that begins with marks would be too many
    assert characters.normalize(form, longer) == unicodedata.normalize(form, longer)  # type: ignore[arg-type]


def test_marks_beyond_the_limit_are_divided_and_kept() -> None:
    form = characters.normalize("NFC", "x" + "\u0316" * 70)
    assert form.replace(characters.JOINER, "") == "x" + "\u0316" * 70
    assert max(map(len, SORTED.findall(form))) == characters.MOST_MARKS
