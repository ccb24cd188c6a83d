"""The page of one memory: its text, its source, its history, and similar memories."""

import html
import re

import httpx
import pytest

from tests.support.tables import rows
from tests.support.visitors import Visitor, seen


async def opened(ann: Visitor, text: str, **metadata: object) -> httpx.Response:
    page = await ann.get(f"/dashboard/memories/{await ann.remember(text, **metadata)}")
    assert page.status_code == 200
    return page


def prose(page: httpx.Response) -> str:
    found = re.search(r'<div class="prose"[^>]*>(.*?)</div>\s*<div class="under">', page.text, re.DOTALL)
    assert found
    return found[1]


async def test_a_memory_is_titled_by_its_first_line(ann: Visitor) -> None:
    page = await opened(ann, "# Release checklist\n\nTag it.")
    assert "<title>Release checklist · My Memories" in page.text
    assert re.search(r"<h1[^>]*>Release checklist</h1>", page.text)


async def test_a_title_and_a_row_show_no_markdown_marks(ann: Visitor) -> None:
    steps = "1. Run `make check`\n2. *Tag* [it](https://example.com)\n- __Rest__ ~~now~~"
    text = f"# The **whole** `plan`\n\n{steps}\n\n> Quoted"
    assert '<h1 dir="auto">The whole plan</h1>' in (await opened(ann, text)).text
    await ann.remember("2 * 3 * 4 is snake_case_name & <b>\n\n```\nx = 1\n```")
    page = await ann.see(f"{ann.project}/memories")
    assert "The whole plan 1. Run make check 2. Tag it - Rest now Quoted" in page
    assert "2 * 3 * 4 is snake_case_name & <b> x = 1" in page
    found = await ann.see(f"{ann.project}/memories?q=make+check")
    assert "1. Run make check 2. Tag it" in found


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("-5 °C at night", "-5 °C at night"),
        ("--force deletes all", "--force deletes all"),
        ("#idea for Anna", "#idea for Anna"),
        ("**Important:** call Anna", "Important: call Anna"),
        ("user: **Tea** at *five*", "Tea at five"),
        ("* Buy **milk**", "Buy milk"),
        ("> - quoted", "quoted"),
        ("# ", "#"),
    ],
)
async def test_a_title_loses_its_marks_and_nothing_else(ann: Visitor, text: str, title: str) -> None:
    assert f'<h1 dir="auto">{title}</h1>' in (await opened(ann, text)).text


@pytest.mark.parametrize(
    ("text", "is_shown"),
    [("Tea at five.", False), ("Tea_at_five <b> & more", False), ("Tea **at** five.", True), ("Tea.\nMilk.", True)],
)
async def test_plain_text_is_offered_only_if_it_differs(ann: Visitor, text: str, is_shown: bool) -> None:
    page = (await opened(ann, text)).text
    assert ("<summary>Plain text</summary>" in page) is is_shown
    assert page.count('id="plain"') == 1


async def test_markdown_is_rendered(ann: Visitor) -> None:
    text = prose(
        await opened(ann, "# Steps\n\n1. Run `make`\n2. **Tag**\n\n| a | b |\n|:-:|---|\n| 1 | 2 |\n\n```\nx < y\n```")
    )
    for part in ("<h3>Steps</h3>", "<ol>", "<code>make</code>", "<strong>Tag</strong>", "<td>1</td>", "x &lt; y"):
        assert part in text, part
    assert "style=" not in text


async def test_a_table_that_would_grow_a_hundredfold_is_shown_as_it_is_written(ann: Visitor) -> None:
    """Rendering its 65,000 empty cells would take seconds, with each view of the page."""
    wide = "|".join("a" * 500) + "\n" + "|".join("-" * 500) + "\n" + "a\n" * 500
    page = await opened(ann, wide)
    assert '<div class="full">a|a|a|' in page.text
    assert len(page.text) < 30_000


async def test_addresses_are_links_that_open_elsewhere(ann: Visitor) -> None:
    text = prose(await opened(ann, "See https://example.com/a?b=1&c=2 and [notes](https://example.org)."))
    links = re.findall(r"<a ([^>]*)>", text)
    assert [re.findall(r'href="([^"]*)"', link)[0] for link in links] == [
        "https://example.com/a?b=1&amp;c=2",
        "https://example.org",
    ]
    assert all('rel="noopener noreferrer nofollow"' in link and 'target="_blank"' in link for link in links)


@rows(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](data:text/html,hello)",
        "[x](vbscript:x)",
        "[x](/sign-out)",
        "![x](https://example.com/x.png)",
        '<a href="https://example.com" onclick="x()">x</a>',
        "[x]: javascript:alert(1)\n\n[x]",
        "<javascript:alert(1)>",
    ],
)
async def test_a_memory_runs_and_loads_nothing(ann: Visitor, text: str) -> None:
    shown = prose(await opened(ann, text))
    assert not re.search(r"<(script|img|iframe|style)", shown)
    assert not re.search(r"<[^>]*\son\w+=", shown)
    assert all(link.startswith("https://example.com") for link in re.findall(r'href="([^"]*)"', shown))


async def test_a_text_that_is_too_long_to_render_is_shown_as_it_is(ann: Visitor) -> None:
    messages = [{"role": "user", "content": "**word** " * 1_000}, {"role": "assistant", "content": "_Yes_ " * 1_500}]
    added = await ann.client.post("/api/memories", json={"messages": messages}, headers=ann.tenant.auth)
    path = f"/dashboard/memories/{added.json()['memory_id']}"
    assert "Showing the first 12,000 characters" in await ann.see(path)
    assert "Showing the first" not in await ann.see(f"{path}?whole=1")


async def test_of_a_long_conversation_only_the_beginning_is_rendered(ann: Visitor) -> None:
    """Rendering all of it would take ten seconds, in which other requests wait."""
    said = {"role": "user", "content": "**word** " * 1_000}
    added = await ann.client.post(
        "/api/memories/batch", json={"memories": [{"messages": [said] * 60}]}, headers=ann.tenant.auth
    )
    memory_id = added.json()["results"][0]["memory_id"]
    page = (await ann.get(f"/dashboard/memories/{memory_id}?whole=1")).text
    assert page.count("<strong>word</strong>") == 12 * 1_000
    assert page.count('<div class="full">**word** **word**') == 48


async def test_a_conversation_is_shown_by_speaker(ann: Visitor) -> None:
    messages = [{"role": "user", "content": "Which **seat**?"}, {"role": "assistant", "content": "The window."}]
    added = await ann.client.post("/api/memories", json={"messages": messages}, headers=ann.tenant.auth)
    page = await ann.get(f"/dashboard/memories/{added.json()['memory_id']}")
    assert "User Which seat ? Assistant The window." in seen(page)
    assert "Conversation of 2 messages" in seen(page)
    assert "<strong>seat</strong>" in page.text
    assert "Conversation" in await ann.see(f"{ann.project}/memories")


async def test_the_text_the_id_and_the_link_can_be_copied(ann: Visitor) -> None:
    memory_id = await ann.remember("a **b** <c>")
    page = (await ann.get(f"/dashboard/memories/{memory_id}")).text
    copied = {name: html.unescape(text) for name, text in re.findall(r'id="(plain|memory-\w+)"[^>]*>([^<]*)<', page)}
    assert copied["plain"] == "a **b** <c>"
    assert copied["memory-id"] == memory_id
    assert copied["memory-link"].endswith(f"/dashboard/memories/{memory_id}")
    assert set(re.findall(r'data-copy="([^"]*)"', page)) == copied.keys()


async def test_history_shows_what_changed_and_brings_a_version_back(ann: Visitor) -> None:
    memory_id = await ann.remember("Anna likes the aisle.", tags="travel")
    path = f"/dashboard/memories/{memory_id}"
    change = {"text": "Anna likes the window.", "metadata": {"tags": "trains"}}
    await ann.client.put(f"/api/memories/{memory_id}", json=change, headers=ann.tenant.auth)
    page = (await ann.get(path)).text
    assert "<del>aisle</del><ins>window</ins>" in page
    assert "<del>travel</del> <ins>trains</ins>" in page
    assert await ann.do(f"{path}/restore", {"version": "1"}) == f"{path}?done=version-restored"
    stored = (await ann.client.get(f"/api/memories/{memory_id}", headers=ann.tenant.auth)).json()
    assert (stored["content"], stored["metadata"]) == ("Anna likes the aisle.", {"tags": "travel"})
    assert "2 earlier versions" in await ann.see(path)
    for odd in ("", "x", "77", "9" * 30, "-1"):
        assert (await ann.post(f"{path}/restore", {"version": odd})).status_code == 404, odd


async def test_a_memory_is_pinned_on_its_page_but_not_by_viewers(ann: Visitor, viewer: Visitor) -> None:
    path = f"/dashboard/memories/{await ann.remember('Anna likes the aisle.')}"
    await ann.do(f"{path}/pin", {"pinned": "1"})
    assert "Pinned" in await ann.see(path)
    await ann.do(f"{path}/pin", {"pinned": ""})
    assert "Unpin" not in await ann.see(path)
    for action in ("pin", "restore"):
        assert (await viewer.post(f"{path}/{action}", {"pinned": "1", "version": "1"})).status_code == 403


async def test_similar_memories_stand_below(ann: Visitor) -> None:
    await ann.remember_all(
        ["Soup with leeks needs cream.", "The invoice was paid in March.", "Tom plays chess well."] * 5
    )
    await ann.remember("Anna likes the window seat on trains.")
    page = await opened(ann, "Anna likes the window seat on planes.")
    similar = page.text.partition("Similar memories")[2]
    assert "Anna likes the window seat on trains." in similar
    assert "Soup" not in similar
    assert "planes" not in similar


async def test_a_viewer_is_offered_no_form_but_keeps_a_text_written_before(ann: Visitor, viewer: Visitor) -> None:
    memory_id = await ann.remember("Anna likes tea.")
    for path in (f"{ann.project}/memories/new", f"/dashboard/memories/{memory_id}/edit"):
        page = await viewer.get(path)
        assert "Viewers cannot add or edit memories." in seen(page)
        assert "<textarea" not in page.text
    refused = await viewer.post(f"/dashboard/memories/{memory_id}/edit", {"text": "Anna likes coffee.", "version": "1"})
    assert (refused.status_code, "Anna likes coffee." in refused.text) == (403, True)
