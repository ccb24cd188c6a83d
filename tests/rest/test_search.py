"""Search over HTTP: what the filters match, what a result holds, and which requests are invalid."""

import hashlib
import json
import unicodedata

import pytest
import sqlalchemy as sa
from sqlmodel import col

from server.models import Memory
from server.models.memories import Label, LabelKind
from server.storage.database import Database
from tests.conftest import Tenant
from tests.rest.conftest import Caller
from tests.support.tables import rows


@pytest.fixture
async def shelf(api: Caller) -> Caller:
    """A project with memories that differ in every filter."""
    await api.add("tea with Li", metadata={"tags": "Drinks,warm", "people_mentioned": "Li", "topic_category": "Food"})
    await api.add("tea with Dr Li", metadata={"tags": "drinks", "people_mentioned": "Dr Li,Ann"}, user_id="u1")
    await api.add("tea in winter", metadata={"tags": "drinking", "count": 3, "on": True}, created_at="2024-01-15")
    await api.add("tea in spring", metadata={"count": 3.0, "nested": {"b": [1], "a": 2}}, created_at="2024-03-15")
    return api


ALL = {"tea with Li", "tea with Dr Li", "tea in winter", "tea in spring"}
LET_THROUGH: list[tuple[dict[str, object], set[str]]] = [
    ({}, ALL),
    ({"tags": "DRINKS"}, {"tea with Li", "tea with Dr Li"}),
    ({"tags": ["drinks", "drinking"]}, {"tea with Li", "tea with Dr Li", "tea in winter"}),
    ({"tags": "drinks,warm"}, {"tea with Li", "tea with Dr Li"}),
    ({"tags": "drinks,warm", "match_all_tags": True}, {"tea with Li"}),
    ({"tags": '"drinks", "warm"', "match_all_tags": True}, {"tea with Li"}),
    ({"people_mentioned": "li"}, {"tea with Li"}),
    ({"people_mentioned": ["ann", "bob"]}, {"tea with Dr Li"}),
    ({"tags": "ann"}, set()),
    ({"topic_category": "food"}, {"tea with Li"}),
    ({"topic_category": "foo"}, set()),
    ({"user_id": "u1"}, {"tea with Dr Li"}),
    ({"metadata": {"count": 3}}, {"tea in winter", "tea in spring"}),
    ({"metadata": {"count": "3"}}, set()),
    ({"metadata": {"on": 1}}, set()),
    ({"metadata": {"on": True, "count": 3}}, {"tea in winter"}),
    ({"metadata": {"nested": {"a": 2, "b": [1]}}}, {"tea in spring"}),
    ({"metadata": {"tags": ["Drinks", "warm"]}}, {"tea with Li"}),
    ({"temporal_filter": "2024-01-15"}, {"tea in winter"}),
    ({"temporal_filter": "2024-01-01..2024-03-15"}, {"tea in winter", "tea in spring"}),
    ({"temporal_filter": "today"}, {"tea with Li", "tea with Dr Li"}),
    ({"created_after": "2024-02-01", "created_before": "2024-12-31"}, {"tea in spring"}),
    ({"created_before": "2024-03-15T00:00:00Z"}, {"tea in winter"}),
    ({"temporal_filter": "2024-01-14", "timezone": "America/New_York"}, {"tea in winter"}),
    ({"temporal_filter": "2024-01-15", "created_after": "2024-02-01"}, set()),
    ({"tags": None, "limit": None, "temporal_filter": None}, ALL),
]


async def test_filters_match_exactly_the_memories_they_describe(shelf: Caller) -> None:
    for filters, contents in LET_THROUGH:
        for query in ("tea", ""):
            assert set(await shelf.found(query, **filters)) == contents, filters


async def test_metadata_is_found_in_either_encoding_of_its_accents(api: Caller, database: Database) -> None:
    composed, split = [{"city": unicodedata.normalize(form, "Zürich")} for form in ("NFC", "NFD")]
    old, *_new = [await api.add(text, metadata=city) for text, city in (("a", split), ("b", split), ("c", composed))]
    with database.write() as session:  # as an earlier version stored it
        number = session.scalars(sa.select(col(Memory.number)).where(col(Memory.id) == old)).one()
        value = hashlib.sha256(json.dumps(["city", split["city"]], ensure_ascii=False).encode()).hexdigest()[:32]
        entry = (col(Label.memory_number) == number, col(Label.kind) == LabelKind.METADATA)
        session.execute(sa.update(Label).where(*entry).values(value=value))
    for city in (composed, split):
        assert set(await api.found(metadata=city)) == {"a", "b", "c"}
    assert await api.found(metadata={"city": "Zurich"}) == []


async def test_filters_work_on_the_top_level_too(shelf: Caller) -> None:
    assert [one["content"] for one in await shelf.results({"query": "tea", "people_mentioned": "Ann,Bob"})] == [
        "tea with Dr Li"
    ]
    assert [one["content"] for one in await shelf.results({"query": "tea", "user_id": "u1"})] == ["tea with Dr Li"]
    assert len(await shelf.results({"query": "tea", "limit": 2})) == 2
    assert len(await shelf.results({"query": "tea", "filters": {"limit": 2}})) == 2


@pytest.mark.parametrize(
    ("memory", "question"),
    [
        ("りんごが好き", "リンゴ"),
        ("後台發展部門", "后台发展"),
        ("Живим у Београду", "Beogradu"),
        ("हिन्दी की कक्षा", "हिंदी"),
    ],
)
async def test_a_word_is_found_in_another_form(api: Caller, memory: str, question: str) -> None:
    tags = {"tags": "リンゴ"}
    await api.add(memory, metadata=tags)
    (found,) = await api.results({"query": question, "filters": {"explain": True}})
    assert found["match"]["words"] == pytest.approx(1)
    assert (found["content"], found["metadata"]) == (memory, tags)
    assert await api.results({"query": question, "filters": {"tags": "りんご"}}) == []


async def test_a_result_explains_its_score_on_request(shelf: Caller) -> None:
    (plain,) = await shelf.results({"query": "winter", "filters": {"tags": "drinking"}})
    assert set(plain) == {"id", "content", "score", "metadata", "created_at", "user_id"}
    assert 0 < plain["score"] <= 1
    assert plain["metadata"] == {"tags": "drinking", "count": 3, "on": True}
    filters = {"tags": "drinking", "explain": True, "include_metadata": False}
    (explained,) = await shelf.results({"query": "winter", "filters": filters})
    assert set(explained) == {"id", "content", "score", "created_at", "user_id", "match"}
    assert set(explained["match"]) == {"similarity", "words", "window", "piece"}


@rows("query", ["*", "**", "%", "?", " ... ", "\u200b", '""', "。"])
async def test_a_query_of_punctuation_lists_the_newest_first(shelf: Caller, query: str) -> None:
    newest = await shelf.results({"query": ""})
    answer = await shelf.post("/api/memories/search", {"query": query})
    assert [result["id"] for result in answer.json()["results"]] == [result["id"] for result in newest]
    assert "weak" not in answer.json()


async def test_an_empty_query_lists_the_newest_first(shelf: Caller) -> None:
    newest = ["tea with Dr Li", "tea with Li", "tea in spring", "tea in winter"]
    assert await shelf.found("") == newest
    assert await shelf.found("", sort_by="timestamp") == newest


TWICE = "is given more than once, with different values."
ISO = "must be an ISO 8601 date or time such as 2026-02-22T10:30:00Z."
BACKWARDS = {"created_after": "2024-02-01", "created_before": "2024-01-01"}
OPERATOR = "an operator, but filters compare exact values: leave it out."
BAD: list[tuple[dict[str, object], str]] = [
    ({}, "query: is required."),
    ({"query": None}, "query: is required."),
    ({"query": 7}, "query: must be text."),
    ({"query": "x" * 10_001}, "query: must have at most 10000 characters."),
    ({"query": "x", "filters": []}, "filters: must be a JSON object."),
    ({"query": "x", "limit": 0}, "limit: must be at least 1."),
    ({"query": "x", "limit": 101}, "limit: must be at most 100."),
    ({"query": "x", "limit": 5, "filters": {"limit": 6}}, f"limit: {TWICE}"),
    ({"query": "x", "user_id": "a", "filters": {"user_id": "b"}}, f"user_id: {TWICE}"),
    ({"query": "x", "filters": {"limit": "ten"}}, "filters.limit: must be a whole number."),
    ({"query": "x", "limit": True}, "limit: must be a number."),
    ({"query": "x", "filters": {"threshold": True}}, "filters.threshold: must be a number."),
    ({"query": "x", "filters": {"limit": 101}}, "filters.limit: must be at most 100."),
    ({"query": "x", "filters": {"threshold": 1.1}}, "filters.threshold: must be at most 1.0."),
    ({"query": "x", "filters": {"threshold": "high"}}, "filters.threshold: must be a number."),
    ({"query": "x", "filters": {"sort_by": "size"}}, "filters.sort_by: must be 'relevance' or 'timestamp'."),
    ({"query": "x", "filters": {"tags": 7}}, "filters.tags: must be comma-separated text or a list of strings."),
    ({"query": "x", "filters": {"tags": [7]}}, "filters.tags: must be comma-separated text or a list of strings."),
    ({"query": "x", "filters": {"match_all_tags": "perhaps"}}, "filters.match_all_tags: must be true or false."),
    ({"query": "x", "filters": {"metadata": "a"}}, "filters.metadata: must be a JSON object."),
    ({"query": "x", "metadata": {"n": {"gte": 5}}}, f"metadata.n: has {OPERATOR}"),
    ({"query": "x", "metadata": {"n": {"$in": [5]}}}, f"metadata.n: has {OPERATOR}"),
    ({"query": "x", "metadata": {"n": {"in": [5]}}}, f"metadata.n: has {OPERATOR}"),
    ({"query": "x", "metadata": {"n": {">=": 5, "<": 9}}}, f"metadata.n: has {OPERATOR}"),
    ({"query": "x", "metadata": {"n": {"between": [5, 9]}}}, f"metadata.n: has {OPERATOR}"),
    ({"query": "x", "metadata": {"n": {"exists": True}}}, f"metadata.n: has {OPERATOR}"),
    ({"query": "x", "metadata": {"n": {"range": {"from": 5}}}}, f"metadata.n: has {OPERATOR}"),
    ({"query": "x", "metadata": {"n": {"startsWith": "a"}}}, f"metadata.n: has {OPERATOR}"),
    ({"query": "x", "metadata": {"n": {"not_in": [5]}}}, f"metadata.n: has {OPERATOR}"),
    ({"query": "x", "filters": {"metadata": {"OR": [{"n": 5}]}}}, f"metadata.OR: is {OPERATOR}"),
    ({"query": "x", "metadata": {"NOT": {"n": 5}}}, f"metadata.NOT: is {OPERATOR}"),
    ({"query": "x", "metadata": {"must": [{"key": "n"}]}}, f"metadata.must: is {OPERATOR}"),
    ({"query": "x", "metadata": {"mustNot": [{"key": "n"}]}}, f"metadata.mustNot: is {OPERATOR}"),
    ({"query": "x", "filters": {"timezone": "Mars/Base"}}, "timezone: must be an IANA name such as Europe/Berlin."),
    ({"query": "x", "filters": {"created_after": "soon"}}, f"created_after: {ISO}"),
    ({"query": "x", "filters": {"created_before": "2024-02-30"}}, f"created_before: {ISO}"),
    ({"query": "x", "filters": BACKWARDS}, "created_before: must be later than created_after."),
]  # fmt: skip


@pytest.mark.sqlite_only
async def test_an_invalid_or_missing_value_is_named(api: Caller) -> None:
    for body, sentence in BAD:
        refused = await api.post("/api/memories/search", body)
        assert (refused.status_code, refused.json()) == (400, {"detail": sentence})
    for words in ("tomorrow", "", "2024-02-30.."):
        refused = await api.post("/api/memories/search", {"query": "x", "filters": {"temporal_filter": words}})
        assert refused.status_code == 400
        assert refused.json()["detail"].startswith("temporal_filter: must be one of today, yesterday")


async def test_metadata_with_the_name_of_an_operator_is_compared_like_any_other(api: Caller) -> None:
    await api.add("Muesli", metadata={"contains": ["nuts"]})
    assert await api.found("muesli", metadata={"contains": ["nuts"]}) == ["Muesli"]
    assert await api.found("muesli", metadata={"contains": ["milk"]}) == []
    for details in ({"width": {"in": 30}, "not": "heavy"}, {"width": {"range": 3, "exists": "yes"}}, {"must": ["a"]}):
        await api.add(f"Shelf {details}", metadata=details)
        assert await api.found("shelf", metadata=details) == [f"Shelf {details}"]


@pytest.mark.sqlite_only
async def test_a_read_only_caller_can_search(api: Caller, reader: Caller, viewer: Caller, alice: Tenant) -> None:
    await api.add("here")
    assert await reader.found("here") == ["here"]
    assert await viewer.found("here", project_id=alice.project_id) == ["here"]
