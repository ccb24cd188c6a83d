"""Lists of memories over REST: pages, filters and totals."""

from urllib.parse import quote

import pytest
import sqlalchemy as sa
from sqlmodel import col

from server.models import Memory
from server.models.base import now
from server.models.memories import Label, LabelKind
from server.storage.database import Database
from tests.rest.conftest import Caller


async def test_the_list_pages_by_offset_and_by_key(api: Caller) -> None:
    ids = [await api.add(f"memory {number}") for number in range(5)]
    page = (await api.get("/api/memories?limit=2&offset=1")).json()
    assert [memory["id"] for memory in page["results"]] == [ids[3], ids[2]]
    assert (page["total"], page["limit"], page["offset"]) == (5, 2, 1)
    page = (await api.get(f"/api/memories?limit=2&before={ids[2]}")).json()
    assert [memory["id"] for memory in page["results"]] == [ids[1], ids[0]]
    assert page["total"] == 5


async def test_the_list_shows_and_counts_only_memories_that_pass_the_filters(api: Caller) -> None:
    await api.add("one", user_id="u1", metadata={"tags": "Work,home", "topic_category": "Plans"})
    await api.add("two", user_id="u2", metadata={"tags": "work"})
    await api.add("three", metadata={"tags": "workshop"})
    for query, contents in {
        "?user_id=u1": ["one"],
        "?tags=work": ["two", "one"],
        "?tags=work,home&match_all_tags=true": ["one"],
        "?tags=workshop&tags=home": ["three", "one"],
        "?user_id=u1&user_id=u1": ["one"],
        "?topic_category=plans": ["one"],
        "?user_id=nobody": [],
    }.items():
        page = (await api.get(f"/api/memories{query}")).json()
        assert [memory["content"] for memory in page["results"]] == contents, query
        assert page["total"] == len(contents)


async def test_turkish_labels_are_found_in_either_case(api: Caller, database: Database) -> None:
    old, new = [
        await api.add(text, tags="İş, İZİN", people_mentioned="İpek", topic_category="İLK") for text in ("old", "new")
    ]
    with database.write() as session:  # as an earlier version stored them
        number = session.scalars(sa.select(col(Memory.number)).where(col(Memory.id) == old)).one()
        older = sa.func.replace(col(Label.value), "i", "i\u0307")
        labels = (col(Label.memory_number) == number, col(Label.kind) != LabelKind.METADATA)
        session.execute(sa.update(Label).where(*labels).values(value=older))
    for query in ("tags=iş", "tags=iş,izin&match_all_tags=true", "people_mentioned=ipek", "topic_category=ilk"):
        page = (await api.get(f"/api/memories?{query}")).json()
        assert new in [one["id"] for one in page["results"]], query
    for query in ("tags=İş", "tags=İş,İZİN&match_all_tags=true", "people_mentioned=İPEK", "topic_category=İlk"):
        page = (await api.get(f"/api/memories?{query}")).json()
        assert [one["id"] for one in page["results"]] == [new, old], query


TYPED = {
    "O\u2019Neil": "O'Neil", "\u041e\u0431\u02bc\u0454\u043a\u0442": "\u041e\u0431'\u0454\u043a\u0442",
    "follow\u2011up": "follow-up", "2020\u20132024": "2020-2024", "\u2764\ufe0f": "\u2764",
    "soft\u00adware": "software", "trip\u200b": "trip", "\u200ftel aviv": "tel aviv",
}  # fmt: skip


@pytest.mark.parametrize(("typed", "plain"), TYPED.items())
async def test_labels_that_look_the_same_are_the_same(api: Caller, typed: str, plain: str) -> None:
    """Phones and language models put typographic apostrophes, dashes and invisible characters into names."""
    one, other = [await api.add(f"A {label}.", tags=[label], people_mentioned=[label]) for label in (typed, plain)]
    for asked in (typed, plain):
        for name in ("tags", "people_mentioned"):
            page = (await api.get(f"/api/memories?{name}={quote(asked)}")).json()
            assert [memory["id"] for memory in page["results"]] == [other, one], (name, asked)


async def test_flags_of_two_countries_are_two_labels(api: Caller) -> None:
    england, scotland = (
        "\U0001f3f4" + "".join(chr(0xE0000 + ord(c)) for c in f"{code}\x7f") for code in ("gbeng", "gbsct")
    )
    await api.add("Anna lives there.", tags=[england])
    assert (await api.get(f"/api/memories?tags={quote(scotland)}")).json()["total"] == 0


async def test_a_label_of_an_earlier_version_is_found_as_it_was_typed(api: Caller, database: Database) -> None:
    await api.add("old", tags="O\u2019Neil")
    with database.write() as session:
        session.execute(sa.update(Label).where(col(Label.kind) == LabelKind.TAG).values(value="o\u2019neil"))
    typed = quote("O\u2019Neil")
    assert (await api.get(f"/api/memories?tags={typed}")).json()["total"] == 1


async def test_the_total_of_each_filter_is_what_its_pages_hold(api: Caller, database: Database) -> None:
    for number in range(6):
        await api.add(
            f"Memory {number}.", tags=["a", "b"][: number % 3], people_mentioned="Li", user_id=f"u{number % 2}"
        )
    expiring = await api.add("Gone.", tags=["a", "b"], people_mentioned="Li", user_id="u0", expires_in_days=1)
    queries = (
        "tags=a", "tags=a,b", "tags=a,b&match_all_tags=true", "tags=b&people_mentioned=Li", "tags=nothing",
        "user_id=u0", "source=api_key", "source=import", "tags=a&user_id=u1", "pinned=true", "pinned=false&tags=b",
    )  # fmt: skip
    for _ in range(2):  # before and after one has expired
        for query in queries:
            page = (await api.get(f"/api/memories?limit=100&{query}")).json()
            assert page["total"] == len(page["results"]), query
            rest = (await api.get(f"/api/memories?limit=1&offset=1&{query}")).json()
            assert [one["id"] for one in rest["results"]] == [one["id"] for one in page["results"]][1:2], query
        with database.write() as session:
            session.execute(sa.update(Memory).where(col(Memory.id) == expiring).values(expires_at=now()))
