"""The search page shows the best matches first, and marks the words that match."""

import html
import re
from collections.abc import Sequence

import httpx

from server.domain.memory.labels import parse_list
from tests.support.visitors import Visitor, hidden, seen

SEAT = "The train leaves at nine. Anna likes the window seat."
UNRELATED = ["Soup with leeks needs cream.", "The invoice was paid in March. Tom has the receipt."]


def marked(page: httpx.Response) -> list[str]:
    return [html.unescape(text) for text in re.findall(r"<mark>([^<]*)</mark>", page.text)]


def folded(page: httpx.Response) -> str:
    """Return what is folded under one line, or nothing."""
    found = re.search(r'<details class="folded">.*?</section>', page.text, re.DOTALL)
    return found[0] if found else ""


async def find(ann: Visitor, question: str, texts: Sequence[str], **metadata: object) -> httpx.Response:
    await ann.remember_all(texts, **metadata)
    page = await ann.get(f"{ann.project}/memories?q={question}")
    assert page.status_code == 200
    return page


async def test_the_words_that_match_are_marked_and_the_closest_sentence_softly(ann: Visitor) -> None:
    page = await find(ann, "window+seats", [SEAT])
    assert marked(page) == ["window", "seat"]
    soft = "".join(re.findall(r'<span class="passage">([^<]*)</span>', page.text))
    assert soft.split() == ["Anna", "likes", "the", "."]


async def test_no_unrelated_sentence_is_marked(ann: Visitor) -> None:
    page = await find(ann, "window+seat", [SEAT, *UNRELATED])
    assert set(marked(page)) == {"window", "seat"}
    for text in UNRELATED:
        assert text not in page.text.replace(folded(page), "")


async def test_a_word_says_how_well_a_result_matches_and_numbers_say_why(ann: Visitor) -> None:
    page = await find(ann, "window+seat", ["Anna likes the window seat.", *UNRELATED])
    assert "Strong match" in seen(page)
    why = re.findall(r'<details class="why">(.*?)</details>', page.text, re.DOTALL)[0]
    for name in ("Score", "Meaning", "Keywords", "Around it"):
        assert re.search(rf"<dt>{name}</dt><dd>\d\.\d\d", why), name
    rest = re.sub(r'<svg.*?</svg>|<details class="why">.*?</details>', "", page.text, flags=re.DOTALL)
    assert not re.search(r"\d\.\d\d", rest)


async def test_a_memory_that_was_opened_from_a_search_is_deleted_back_to_it(ann: Visitor) -> None:
    query = "?q=window+seat+%26+more&tags=trip"
    ids = await ann.remember_all([SEAT, *UNRELATED], tags=["trip"])
    listed = await ann.get(f"{ann.project}/memories{query}")
    opened = await ann.get(html.unescape(re.findall(r'href="(/dashboard/memories/[^"]+)"', listed.text)[0]))
    assert f'href="{ann.project}/memories{html.escape(query)}"' in opened.text
    back = await ann.do(f"/dashboard/memories/{ids[0]}/delete", {"back": hidden(opened, "back")})
    assert back == f"{ann.project}/memories{query}&deleted={ids[0]}"
    assert 'value="window seat &amp; more"' in (await ann.get(back)).text
    assert hidden(listed, "back") == query
    await ann.do(f"{ann.project}/change", {"name": "Brief", "trash_days": "0"})
    asked = await ann.post(f"/dashboard/memories/{ids[1]}/delete", {"back": query})
    canceled = re.findall(r'href="([^"]*)">Cancel', asked.text)[0]
    assert hidden(await ann.get(html.unescape(canceled)), "back") == query
    gone = await ann.post(f"/dashboard/memories/{ids[1]}/delete", {"back": query, "permanently": "1"})
    assert "Memory deleted" in gone.text
    assert 'value="window seat &amp; more"' in gone.text


async def test_a_search_for_nothing_stored_says_so(ann: Visitor) -> None:
    page = seen(await find(ann, "quantum+entanglement", ["The train leaves at nine."]))
    assert "No memory matches closely" in page or "No memories match your search" in page


async def test_a_long_result_is_cut_around_the_match_at_whole_words(ann: Visitor) -> None:
    text = "Elephants " * 60 + ". Anna likes the window seat. " + "Giraffes " * 60
    page = await find(ann, "window+seat", [text])
    shown = re.search(r'<p class="text"[^>]*><a[^>]*>(.*?)</a>', page.text, re.DOTALL)
    assert shown
    plain = re.sub(r"<[^>]*>", "", shown[1])
    assert re.fullmatch(r"…(Elephants )+\. Anna likes the window seat\.( Giraffes)+…", plain)
    assert len(plain) <= 280


async def test_results_are_sorted_by_match_or_newest_first(ann: Visitor) -> None:
    await find(ann, "window+seat", ["A window seat for Anna.", "The seat at the window was taken by somebody else."])
    best = await ann.see(f"{ann.project}/memories?q=window+seat+for+anna")
    newest = await ann.see(f"{ann.project}/memories?q=window+seat+for+anna&sort=newest")
    assert best.index("for Anna") < best.index("taken by")
    assert newest.index("taken by") < newest.index("for Anna")


async def test_chips_count_what_was_found_and_narrow_it(ann: Visitor) -> None:
    await find(ann, "tram", ["The tram leaves at nine.", "The tram is late."], tags="Travel", people_mentioned="Anna")
    await ann.remember("A tram to work.", tags="work", topic_category="Plans")
    page = await ann.get(f"{ann.project}/memories?q=tram")
    for chip in ("#Travel 2", "#work 1", "@Anna 2", "Plans 1", "via all 3"):
        assert chip in seen(page), chip
    link = re.search(r'href="([^"]*)">#Travel', page.text)
    assert link
    narrowed = await ann.get(html.unescape(link[1]))
    assert "A tram to work." not in narrowed.text
    assert "#Travel × Remove this filter" in seen(narrowed)


async def test_filters_complete_what_the_project_knows(ann: Visitor) -> None:
    page = await find(ann, "nothing", ["One."], tags='travel, "quoted"', people_mentioned="Dr Li")
    assert re.search(r'<datalist id="known-tags">.*<option value="travel">', page.text)
    assert re.search(r'<datalist id="known-people">.*<option value="Dr Li">', page.text)
    assert '<option value="&#34;quoted&#34;">' in page.text
    assert re.search(
        r'<datalist id="known-tags">.*<option value="travel">', (await ann.get(f"{ann.project}/memories/new")).text
    )


async def test_results_are_filtered_by_who_saved_them(ann: Visitor) -> None:
    await find(ann, "tram", ["The tram leaves at nine."])
    source = re.search(r'<option value="(key_[^"]+)">', (await ann.get(f"{ann.project}/memories")).text)
    assert source
    assert "leaves at nine" in await ann.see(f"{ann.project}/memories?source={source[1]}")
    assert "leaves at nine" not in await ann.see(f"{ann.project}/memories?source=session")
    assert (await ann.get(f"{ann.project}/memories?source=nobody")).status_code == 400


async def test_search_pagination_ends_at_the_limit_of_assistants(ann: Visitor) -> None:
    await ann.remember_all([f"Seat number {number:03}." for number in range(110)])
    shown = ""
    address: str | None = f"{ann.project}/memories?q=seat"
    pages = 0
    while address:
        page = await ann.get(address)
        assert len(page.content) <= 100_000
        shown += page.text
        pages += 1
        following = re.search(r'href="([^"]+)" rel="next"', page.text)
        address = html.unescape(following[1]) if following else None
    assert pages == 4
    assert sum(f"number {number:03}." in re.sub("</?mark>", "", shown) for number in range(110)) == 100


async def test_pages_of_a_search_for_everything_show_each_large_memory_once(ann: Visitor) -> None:
    await ann.remember_all([f"Seat number {number:03}. " + "😀" * 9_900 for number in range(80)], note="x" * 15_000)
    numbers: list[str] = []
    ranges: list[str] = []
    address: str | None = f"{ann.project}/memories?q=*"
    while address:
        page = await ann.get(address)
        ranges += re.findall(r"Results (\S+ of \d+)", seen(page))
        numbers += re.findall(r"Seat number (\d{3})\.", seen(page))
        following = re.search(r'href="([^"]+)" rel="next"', page.text)
        address = html.unescape(following[1]) if following else None
    assert list(dict.fromkeys(numbers)) == [f"{number:03}" for number in reversed(range(80))]
    assert ranges[-1].endswith("–80 of 80")


async def test_each_link_of_a_label_with_a_comma_finds_it(ann: Visitor) -> None:
    names = ['Li, "Bo"', "田中、鈴木", "[x]"]
    await find(ann, "tram", ["The tram leaves at nine."], tags=names, people_mentioned=names)
    pages = [(await ann.get(f"{ann.project}{path}")).text for path in ("", "/memories", "/memories?q=tram")]
    links = {html.unescape(link) for page in pages for link in re.findall(r'href="([^"]*(?:tags|people)=[^"]*)"', page)}
    assert len(links) >= 2 * len(names)
    for link in links:
        page = await ann.get(link)
        assert "The tram leaves at nine." in seen(page), link
        (typed,) = {html.unescape(text) for text in re.findall(r'name="(?:tags|people)" value="([^"]+)"', page.text)}
        assert len(parse_list(typed)) == 1
