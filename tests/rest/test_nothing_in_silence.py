"""Every field that a caller sends is used, named in a warning, or refused. Nothing is dropped silently."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from server.domain.memory.inputs import NewMemory
from tests.conftest import Tenant
from tests.rest.conftest import Caller, said
from tests.support.browsers import sign_up
from tests.support.tables import rows

pytestmark = pytest.mark.sqlite_only


async def stored(api: Caller, body: dict[str, object]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Create a memory, and return the answer and the memory."""
    created = await api.post("/api/memories", body)
    assert created.status_code == 200, created.text
    answer: dict[str, Any] = created.json()
    return answer, (await api.get(f"/api/memories/{answer['memory_id']}")).json()


async def test_content_alone_is_a_memory(api: Caller) -> None:
    created, memory = await stored(api, {"content": "Tea at five."})
    assert memory["content"] == created["operations"][0]["memory"] == "Tea at five."
    assert "warnings" not in created


async def test_null_is_as_left_out(api: Caller) -> None:
    body = dict.fromkeys(name for name in NewMemory.model_fields if name != "content") | {"content": "Anna drinks tea."}
    answer = await api.post("/api/memories", body)
    assert answer.status_code == 200, answer.text
    assert "warnings" not in answer.json()
    assert (await api.post("/api/memories/batch", {"memories": [body]})).status_code == 200


async def test_labels_may_stand_beside_the_metadata(api: Caller) -> None:
    body = {"content": "Tea.", "tags": ["a", "b, c"], "people_mentioned": "Li,Ann", "topic_category": "food"}
    _, memory = await stored(api, {**body, "metadata": {"n": 1, "tags": ["a", "b, c"]}})
    labels = {key: body[key] for key in ("tags", "people_mentioned", "topic_category")}
    assert memory["metadata"] == {"n": 1, **labels}
    assert await api.found(tags=["b, c"]) == ["Tea."]
    assert await api.found(tags=["c"]) == []
    assert await api.found(people_mentioned="ann") == ["Tea."]


@pytest.mark.parametrize("comma", [",", "，", "、", "،", "､ "])
async def test_labels_may_be_separated_by_the_commas_of_any_script(api: Caller, comma: str) -> None:
    await api.add("Tea.", tags=f"茶{comma}健康", people_mentioned=["田中、鈴木"])
    await api.add("Coffee.", tags="咖啡")
    assert await api.found(tags="健康") == ["Tea."]
    assert await api.found(tags=f"健康{comma}茶", match_all_tags=True) == ["Tea."]
    assert sorted(await api.found(tags=f"咖啡{comma}茶")) == ["Coffee.", "Tea."]
    assert await api.found(people_mentioned=["田中、鈴木"]) == ["Tea."]  # an item of a list keeps its commas


@pytest.mark.parametrize("body", [{"content": "a", "messages": [{"role": "user", "content": "a"}]}, {"metadata": {}}])
async def test_a_memory_has_content_or_messages(api: Caller, body: dict[str, object]) -> None:
    refused = await api.post("/api/memories", body)
    assert (refused.status_code, refused.json()) == (400, {"detail": "content or messages: give exactly one of them."})


async def test_two_values_for_one_label_are_refused(api: Caller) -> None:
    refused = await api.post("/api/memories", {"content": "a", "tags": "x", "metadata": {"tags": "y"}})
    assert refused.status_code == 400
    assert "tags and metadata.tags: have different values" in refused.json()["detail"]


@rows(
    ("field", "warning"),
    [
        ("category", "category: is not a field; did you mean topic_category?"),
        ("people", "people: is not a field; did you mean people_mentioned?"),
        ("text", "text: is not a field; did you mean content?"),
        ("userId", "userId: is not a field; did you mean user_id?"),
        ("usr_id", "usr_id: is not a field; did you mean user_id?"),
        ("run_id", "run_id: is not a field."),
        ("memory_id", "memory_id: is not a field."),
        ("agent_id", "agent_id: is not a field."),
    ],
)
async def test_unknown_fields_of_a_memory_are_named(api: Caller, field: str, warning: str) -> None:
    created, _ = await stored(api, said("Tea.", **{field: "x"}))
    (seen,) = created["warnings"]
    assert seen == warning
    batch = (await api.post("/api/memories/batch", {"memories": [said("a"), said("b", **{field: "x"})]})).json()
    assert batch["warnings"] == [f"memories.1.{seen}"]


async def test_many_unknown_fields_are_counted(api: Caller) -> None:
    created, _ = await stored(api, said("Tea.", **{f"x{number}": 1 for number in range(30)}))
    assert len(created["warnings"]) == 21
    assert "10 more fields" in created["warnings"][-1]


@pytest.mark.parametrize(("others", "is_named"), [(19, True), (20, False)])
async def test_a_missing_field_is_looked_for_among_the_first_unknown_ones(
    api: Caller, others: int, is_named: bool
) -> None:
    """A read key could hold up all requests with bodies of 10,000 unknown fields."""
    body = {f"x{number}": 1 for number in range(others)} | {"contnt": "Tea."}
    refused = await api.post("/api/memories", body)
    assert refused.status_code == 400
    assert ("contnt is not a field" in refused.json()["detail"]) is is_named


async def test_unknown_fields_of_other_creations_are_named(client: httpx.AsyncClient, alice: Tenant) -> None:
    await sign_up(client)
    organization = (await client.post("/api/organizations", json={"name": "Lab", "plan": "pro"})).json()
    assert organization["warnings"] == ["plan: is not a field."]
    body = {"name": "Notes", "organization_id": organization["id"], "title": "x"}
    project = (await client.post("/api/projects", json=body)).json()
    assert project["warnings"] == ["title: is not a field; did you mean name?"]
    key = (await client.post(f"/api/projects/{project['id']}/api-keys", json={"name": "k", "scopes": ["read"]})).json()
    assert key["warnings"] == ["scopes: is not a field; did you mean permissions?"]


DELETIONS: tuple[tuple[str, object], ...] = (
    ("?tags=a", None),
    ("?user=ann", None),
    ("?ids=mem_1", None),
    ("?created_before=2020-01-01", None),
    ("?confirm=false", None),
    ("?user_id=", None),
    ("?project_id=", None),
    ("?user_id=ann&user_id=ben", None),
    ("", {"ids": ["mem_1"]}),
    ("", {"user_id": "ann", "tags": ["a"]}),
    ("", {"user_id": None}),
    ("", {"filters": {}}),
    ("?user_id=ann", {"user_id": "ben"}),
    ("", ["mem_1"]),
    ("", "all"),
)


@rows(("query", "body"), DELETIONS)
async def test_deleting_everything_takes_no_narrowing_that_it_does_not_know(
    api: Caller, query: str, body: object
) -> None:
    await api.add("stays")
    kept = await api.listed()
    refused = await api.send("DELETE", f"/api/memories{query}", body)
    assert refused.status_code == 400, refused.text
    assert await api.listed() == kept


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_deletion_with_a_body_of_another_kind_is_refused(api: Caller, kind: str) -> None:
    await api.add("stays")
    headers = {**api.headers, "Content-Type": kind}
    refused = await api.client.request("DELETE", "/api/memories", content=b"user_id=ann", headers=headers)
    assert refused.status_code in (400, 415)
    assert await api.listed() == ["stays"]


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/api/memories/search", {"query": "a", "tag": "x"}, "tag: is not a field; did you mean tags?"),
        ("/api/memories/search", {"query": "a", "filter": {}}, "filter: is not a field; did you mean filters?"),
        ("/api/memories/search", {"query": "a", "filters": {"top_k": 1}}, "filters.top_k: is not a field"),
        ("/v1/memories/tag-search/", {"tags": "a", "match_any": True}, "match_any: is not a field"),
    ],
)  # fmt: skip
async def test_an_unknown_filter_is_refused_and_the_known_ones_are_named(
    api: Caller, path: str, body: dict[str, object], reason: str
) -> None:
    refused = await api.post(path, body)
    assert refused.status_code == 400
    assert refused.json()["detail"].startswith(reason)
    assert "Known fields: " in refused.json()["detail"]
    assert "limit" in refused.json()["detail"]


@pytest.mark.parametrize("query", ["tag=x", "created_after=2020-01-01", "q=tea", "limit=1&top=2"])
async def test_an_unknown_parameter_is_refused_and_the_known_ones_are_named(api: Caller, query: str) -> None:
    refused = await api.get(f"/api/memories?{query}")
    assert refused.status_code == 400
    assert "is not a parameter" in refused.json()["detail"]
    assert "topic_category" in refused.json()["detail"]
    assert (await api.get("/api/memories/stats?x=1")).status_code == 400
    assert (await api.get("/api/users/me?x=1")).json()["detail"].endswith("This route takes no parameters.")


async def test_an_unknown_parameter_tells_a_stranger_nothing(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/memories?x=1")).status_code == 401


async def test_filters_stand_beside_the_query_or_in_filters(api: Caller) -> None:
    await api.add("tea", metadata={"tags": "hot"}, user_id="ann", created_at="2024-01-15")
    await api.add("tea again", metadata={"tags": "cold"})
    for body in ({"tags": "hot"}, {"user_id": "ann"}, {"created_before": "2024-02-01"}, {"metadata": {"tags": "hot"}}):
        for places in (body, {"filters": body}, {**body, "filters": body}):
            assert [found["content"] for found in await api.results({"query": "tea", **places})] == ["tea"], places
    refused = await api.post("/api/memories/search", {"query": "tea", "tags": "hot", "filters": {"tags": "cold"}})
    assert refused.json()["detail"] == "tags: is given more than once, with different values."


async def test_equal_texts_are_one_result_and_the_others_are_counted(api: Caller) -> None:
    for number in range(3):
        newest = await api.add("tea at five", metadata={"n": number})
    await api.add("tea at five", user_id="ann")
    await api.add("tea at six")
    for query in ("tea at five", ""):
        results = await api.results({"query": query, "limit": 3})
        assert len(results) == 3
        by_user = {(found["user_id"], found["content"]): found for found in results}
        assert by_user[None, "tea at five"]["id"] == newest
        assert by_user[None, "tea at five"]["duplicates"] == 2
        assert "duplicates" not in by_user["ann", "tea at five"]
    narrowed = await api.results({"query": "tea", "metadata": {"n": 1}})
    assert [(found["metadata"]["n"], found.get("duplicates")) for found in narrowed] == [(1, None)]


@pytest.mark.parametrize("labels", ['["Surname, Name", "b"]', ["Surname, Name", "b"]])
async def test_an_item_of_a_list_keeps_its_commas(api: Caller, labels: object) -> None:
    _, memory = await stored(api, said("x", metadata={"people_mentioned": labels}))
    assert memory["metadata"] == {"people_mentioned": labels}
    assert await api.found(people_mentioned=["Surname, Name"]) == ["x"]
    assert await api.found(people_mentioned='["Surname, Name"]') == ["x"]
    assert await api.found(people_mentioned="Surname") == []
    assert await api.listed("?people_mentioned=%5B%22Surname, Name%22%5D") == ["x"]


@pytest.mark.parametrize("labels", ["['Surname, Name', 'b']", r'"[\"Surname, Name\", \"b\"]"', '["Surname, Name", 7]'])
async def test_a_list_that_a_program_wrote_as_text_is_read(api: Caller, labels: str) -> None:
    _, memory = await stored(api, said("x", metadata={"people_mentioned": labels}))
    assert memory["metadata"] == {"people_mentioned": labels}
    assert await api.found(people_mentioned=["Surname, Name"]) == ["x"]
    assert await api.found(people_mentioned=labels) == ["x"]
    assert await api.found(people_mentioned=["Surname"]) == []


@rows("text", ["\u200b", " \u2060\ufeff ", "\u3164", "\u2800\u2800", "\u00ad", "\u200e\n\t", "\ufe0f"])
@rows("make", [lambda text: {"content": text}, said])
async def test_a_text_of_which_nothing_can_be_seen_is_refused(
    api: Caller, text: str, make: Callable[[str], dict[str, object]]
) -> None:
    refused = await api.post("/api/memories", make(text))
    assert refused.status_code == 400
    assert refused.json()["detail"].endswith("must not be blank.")


async def test_a_text_with_invisible_parts_is_kept(api: Caller) -> None:
    text = "👩\u200d👧 \u202bשלום"
    _, memory = await stored(api, {"content": text})
    assert memory["content"] == text


async def test_a_text_that_is_too_long_says_both_lengths_and_what_to_do(api: Caller) -> None:
    for body, field in (({"content": "x" * 12_000}, "content"), (said("x" * 12_000), "messages.0.content")):
        detail = (await api.post("/api/memories", body)).json()["detail"]
        assert detail == (
            f"{field}: has 12,000 characters, and a memory or message holds at most 10,000: split it into several."
        )


@pytest.mark.parametrize("body", [{"user_id": "ann"}, {"dry_run": True}, ["x"], "all"], ids=str)
async def test_a_deletion_with_a_body_that_says_something_is_refused(api: Caller, body: object) -> None:
    path = f"/api/memories/{await api.add('stays')}"
    refused = await api.send("DELETE", path, body)
    assert refused.status_code == 400, refused.text
    assert await api.listed() == ["stays"]
    assert (await api.send("DELETE", path, {})).status_code == 200
