"""The routes of the published Python client, with the bodies that it sends."""

from collections.abc import Mapping

import pytest

from tests.rest.conftest import Caller, said


async def found(api: Caller, path: str, body: Mapping[str, object]) -> list[str]:
    answer = await api.post(path, body)
    assert answer.status_code == 200, answer.text
    return [result["content"] for result in answer.json()["results"]]


async def test_a_memory_that_the_client_adds_is_stored(api: Caller) -> None:
    sent = {"tags": "", "people_mentioned": "", "topic_category": ""}
    memory_id = await api.add("plain", metadata=sent)
    assert (await api.get(f"/api/memories/{memory_id}")).json()["metadata"] == sent


async def test_the_clients_search_finds_by_its_filters(api: Caller) -> None:
    await api.add("pizza with Sarah", metadata={"tags": "food", "people_mentioned": "Sarah,Mike", "topic_category": ""})
    await api.add("pizza alone", metadata={"tags": "food", "people_mentioned": "", "topic_category": ""})
    body = {
        "query": "pizza",
        "people_mentioned": "Sarah,Ann",
        "filters": {"limit": 5, "tags": ["food"], "threshold": 0.0},
    }
    assert await found(api, "/api/memories/search", body) == ["pizza with Sarah"]
    assert len(await api.results({"query": "pizza"})) == 2


async def test_the_client_searches_by_time_tags_and_people(api: Caller) -> None:
    await api.add("old walk", metadata={"tags": "a", "people_mentioned": "Ann"}, created_at="2020-05-05")
    await api.add("new walk", metadata={"tags": "a,b", "people_mentioned": "Ann,Bob"})
    rest = {"semantic_query": None, "limit": 10}
    assert await found(api, "/v1/memories/temporal-search/", {"temporal_query": "today", **rest}) == ["new walk"]
    both = {"tags": ["a", "b"], **rest}
    assert await found(api, "/v1/memories/tag-search/", {**both, "match_all": False}) == ["new walk", "old walk"]
    assert await found(api, "/v1/memories/tag-search/", {**both, "match_all": True}) == ["new walk"]
    assert await found(api, "/v1/memories/people-search/", {"people": ["bob"], **rest}) == ["new walk"]
    assert await found(api, "/v1/memories/people-search", {"people": "ann", **rest, "limit": 1}) == ["new walk"]
    asked = {"tags": "a", "semantic_query": "old", "limit": 1}
    assert await found(api, "/v1/memories/tag-search/", asked) == ["old walk"]


@pytest.mark.sqlite_only
async def test_a_bad_or_missing_value_is_refused(api: Caller) -> None:
    for path, body in (
        ("temporal-search", {}),
        ("temporal-search", {"temporal_query": "someday"}),
        ("temporal-search", {"temporal_query": "today", "limit": 101}),
        ("tag-search", {"match_all": True}),
        ("tag-search", {"tags": []}),
        ("people-search", {"people": " , "}),
        ("people-search", {"people": 7}),
    ):
        refused = await api.post(f"/v1/memories/{path}/", body)
        assert refused.status_code == 400, (path, body)
        assert refused.json()["detail"].split(":")[0] in {"temporal_query", "limit", "tags", "people"}


@pytest.mark.sqlite_only
async def test_health_needs_no_credential_and_stats_does(api: Caller) -> None:
    await api.add("x")
    answer = await api.client.get("/v1/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "healthy")
    assert (await api.client.get("/v1/stats")).status_code == 401
    assert (await api.client.post("/v1/memories/tag-search/", json=said("x"))).status_code == 401
    assert (await api.get("/v1/stats")).json()["total"] == 1
