"""Arguments as models write them: words for missing values, other forms of a value, unknown names."""

import json

import pytest

from tests.support.tables import rows
from tests.tools.conftest import MODERN, Mcp

pytestmark = pytest.mark.parametrize("revision", [MODERN])

LEFT_OUT = (None, "", " \t", "null", "None", "UNDEFINED")


@pytest.fixture
async def two(mcp: Mcp) -> list[str]:
    """Two memories; the first has every label."""
    labels = {"tags": ["work", "private"], "people_mentioned": ["Kim, Anna"], "topic_category": "health"}
    first = await mcp.add("Anna plans", **labels, metadata={"source": "phone", "depth": {"a": [1, None]}})
    return [first, await mcp.add("Ben plans", tags="work", created_at="2020-02-02")]


async def test_an_optional_filter_is_left_out_in_many_ways(mcp: Mcp, two: list[str]) -> None:
    names = [name for name in await arguments_of(mcp, "search") if name != "query"]
    for nothing in LEFT_OUT:
        assert len(await mcp.found("plans", **dict.fromkeys(names, nothing))) == 2, nothing
        listed = await mcp.call("list_memories", limit=nothing, offset=nothing, tags=nothing, topic_category=nothing)
        assert listed["total"] == 2


@rows("nothing", [["null"], ["none", None, ""], "null, undefined", '["null"]', "[]", [], "[null]"])
async def test_a_list_of_nothing_is_no_filter(mcp: Mcp, two: list[str], nothing: object) -> None:
    assert len(await mcp.found("plans", tags=nothing, people_mentioned=nothing)) == 2


@pytest.mark.parametrize("zero", [0, "0", 0.0, "0.0"])
async def test_a_limit_of_zero_is_left_out(mcp: Mcp, two: list[str], zero: object) -> None:
    assert len(await mcp.found("plans", limit=zero)) == 2
    assert len((await mcp.call("list_memories", limit=zero))["results"]) == 2


@rows("value", [0, "0", 0.0, -1, "-1", "abc", 1.5, "1.5", True, 10**9, "1e400", [], {}])
@rows(("tool", "name"), [("add_memory", "expires_in_days"), ("context", "budget")])
async def test_a_number_that_is_given_is_valid_or_refused(mcp: Mcp, tool: str, name: str, value: object) -> None:
    content = {"content": "The door code is 4711."} if tool == "add_memory" else {}
    assert (await mcp.refusal(tool, **content, **{name: value})).startswith(f"{name}: must be ")
    assert (await mcp.call("list_memories"))["total"] == 0


async def test_what_is_left_out_of_a_change_stays(mcp: Mcp, two: list[str]) -> None:
    before = await mcp.call("fetch", id=two[0])
    names = [name for name in await arguments_of(mcp, "update_memory") if name not in ("id", "topic_category")]
    for nothing in LEFT_OUT:
        await mcp.call("update_memory", id=two[0], topic_category="health", **dict.fromkeys(names, nothing))
        assert await mcp.call("fetch", id=two[0]) == before
    assert (await mcp.refusal("update_memory", id=two[0], content="", metadata="null")).startswith("Give at least one")


async def test_what_is_left_out_of_a_new_memory_is_not_stored(mcp: Mcp) -> None:
    names = [name for name in await arguments_of(mcp, "add_memory") if name != "content"]
    for number, nothing in enumerate(LEFT_OUT):
        memory_id = await mcp.add(f"note {number}", **dict.fromkeys(names, nothing))
        assert (await mcp.call("fetch", id=memory_id))["metadata"] == {}


@rows(
    ("filters", "found"),
    [
        ({"tags": "open, private"}, ["Anna plans"]),
        ({"tags": "open、private"}, ["Anna plans"]),
        ({"tags": '["private"]'}, ["Anna plans"]),
        ({"tags": "['private', 'open']"}, ["Anna plans"]),
        ({"tags": "[private]"}, ["Anna plans"]),
        ({"tags": '"open", "private"'}, ["Anna plans"]),
        ({"tags": " 'private' "}, ["Anna plans"]),
        ({"tags": ['["private", "open"]']}, ["Anna plans"]),
        ({"tags": json.dumps('["private", "open"]')}, ["Anna plans"]),
        ({"people_mentioned": "['Kim, Anna', \"O'Hara\"]"}, ["Anna plans"]),
        ({"people_mentioned": "'Kim, Anna', \"O'Hara\""}, ["Anna plans"]),
        ({"metadata": json.dumps('{"source": "phone"}')}, ["Anna plans"]),
        ({"tags": ["work", "private"], "match_all_tags": True}, ["Anna plans"]),
        ({"tags": "work,private", "match_all_tags": "true"}, ["Anna plans"]),
        ({"tags": "work,private", "match_all_tags": 1}, ["Anna plans"]),
        ({"tags": "work,private", "match_all_tags": "No"}, ["Anna plans", "Ben plans"]),
        ({"tags": "work", "limit": "1.0", "created_before": "2021-01-01"}, ["Ben plans"]),
        ({"limit": 2.0, "threshold": "0.0"}, ["Anna plans", "Ben plans"]),
        ({"threshold": "1"}, []),
        ({"threshold": ".1e1", "limit": "1E1"}, []),
        ({"threshold": "1e-7", "limit": "+2."}, ["Anna plans", "Ben plans"]),
        ({"metadata": {"source": "phone"}}, ["Anna plans"]),
        ({"metadata": '{"source": "phone"}'}, ["Anna plans"]),
        ({"metadata": {"depth": {"a": [1, None]}}}, ["Anna plans"]),
        ({"metadata": {}}, ["Anna plans", "Ben plans"]),
        ({"metadata": []}, ["Anna plans", "Ben plans"]),
        ({"metadata": {"source": None}}, ["Anna plans", "Ben plans"]),
        ({"metadata": {"source": " ", "depth": {"a": [1, None]}}}, ["Anna plans"]),
        ({"created_after": "2020-02-02", "created_before": "2020-02-03"}, ["Ben plans"]),
        (
            {"created_after": "2020-02-02T01:00:00", "timezone": "Asia/Tokyo", "created_before": "2021-01-01"},
            ["Ben plans"],
        ),
        ({"temporal_filter": "2020-02-02", "timezone": "America/New_York"}, []),
        ({"temporal_filter": "today", "timezone": "Europe/Berlin", "tags": "private"}, ["Anna plans"]),
        ({"temporal_filter": "2020-02-02", "timezone": " america/new york\n"}, []),
    ],
)
async def test_a_value_is_read_in_other_forms(
    mcp: Mcp, two: list[str], filters: dict[str, object], found: list[str]
) -> None:
    assert sorted(await mcp.found("plans", **filters)) == found


async def test_an_item_of_a_list_keeps_its_comma(mcp: Mcp) -> None:
    await mcp.add("Anna plans", metadata={"topic_category": "a, b"})
    assert await mcp.found("plans", people_mentioned=["Nobody, Anna"]) == []
    assert await mcp.found("plans", topic_category="a, b") == ["Anna plans"]


async def test_numbers_are_read_as_text_where_text_is_meant(mcp: Mcp) -> None:
    memory_id = await mcp.add(2026, tags=[7, "eight"], topic_category=3.5)  # type: ignore[arg-type]
    assert (await mcp.call("fetch", id=memory_id))["text"] == "2026"
    assert await mcp.found(2026, tags="7", topic_category="3.5") == ["2026"]  # type: ignore[arg-type]
    account = 10**400
    assert await mcp.found(account, tags=[account], topic_category="3.5") == []  # type: ignore[arg-type]


async def test_metadata_keeps_what_is_inside_it(mcp: Mcp) -> None:
    inside = {"a": None, "b": ["null", "", 0], "c": {"d": None}, "e": "none"}
    memory_id = await mcp.add("note", metadata=json.dumps(inside))
    assert (await mcp.call("fetch", id=memory_id))["metadata"] == inside


@rows("form", ["{}", " {} ", '"{}"', "'{}'", "`{}`", "“{}”", "<{}>", "[{}]", "id: {}", "memory://{}"])
async def test_an_id_is_found_in_what_is_around_it(mcp: Mcp, two: list[str], form: str) -> None:
    assert (await mcp.call("fetch", id=form.format(two[0])))["id"] == two[0]


async def test_an_address_that_was_given_is_an_id(mcp: Mcp, two: list[str]) -> None:
    url = (await mcp.call("fetch", id=two[0]))["url"]
    for form in (url, f"{url}/", f"{url}?q=1#top", f" {url}\n", f"[Anna]({url})", two[0].upper()):
        assert (await mcp.call("fetch", id=form))["id"] == two[0]
    await mcp.call("update_memory", id=url, content="Anna rests")
    await mcp.call("delete_memory", id=f'"{url}"')
    assert await mcp.found("Anna") == ["Ben plans"]


@rows(
    ("tool", "name", "nearest"),
    [
        ("search", "tag", "tags"),
        ("search", "top_k", "limit"),
        ("search", "topK", "limit"),
        ("search", "max-results", "limit"),
        ("search", "n_results", "limit"),
        ("search", "q", "query"),
        ("search", "category", "topic_category"),
        ("search", "people", "people_mentioned"),
        ("search", "since", "created_after"),
        ("search", "before_date", "created_before"),
        ("search", "time_expr", "temporal_filter"),
        ("search", "filters", "metadata"),
        ("search", "min_score", "threshold"),
        ("search", "tz", "timezone"),
        ("list_memories", "page", "offset"),
        ("list_memories", "labels", "tags"),
        ("add_memory", "text", "content"),
        ("add_memory", "memory", "content"),
        ("add_memory", "information", "content"),
        ("add_memory", "observation", "content"),
        ("add_memory", "messages", "content"),
        ("add_memory", "title", "metadata"),
        ("add_memory", "timestamp", "created_at"),
        ("update_memory", "memory_id", "id"),
        ("update_memory", "text", "content"),
        ("fetch", "uri", "id"),
        ("delete_memory", "ids", "id"),
    ],
)
async def test_an_unknown_argument_names_the_nearest_and_all(mcp: Mcp, tool: str, name: str, nearest: str) -> None:
    refused = await mcp.refusal(tool, **{name: "x"})
    has = ", ".join(await arguments_of(mcp, tool))
    assert refused == f"{name} is not an argument of {tool}; did you mean {nearest}? Known arguments: {has}."


@rows("empty", [{}, [], "", None])
async def test_an_unknown_argument_that_holds_nothing_is_left_out(mcp: Mcp, two: list[str], empty: object) -> None:
    assert len(await mcp.found("plans", filters=empty, args=empty)) == 2


async def test_an_argument_that_is_like_no_other_names_all(mcp: Mcp) -> None:
    assert (
        await mcp.refusal("fetch", **{"x" * 500 + "\n": 1})
        == f"{'x' * 60} is not an argument of fetch. Known arguments: id."
    )
    assert (await mcp.refusal("search", user_id="u")).startswith(
        "user_id is not an argument of search: your credential"
    )
    assert await mcp.found("plans", project_id=None, user_id="") == []  # nothing that was said is ignored


@pytest.mark.parametrize(
    "name", ["topicCategory", "TopicCategory", "TOPIC_CATEGORY", "topic-category", "topic category"]
)
async def test_an_argument_may_be_written_in_another_case(mcp: Mcp, two: list[str], name: str) -> None:
    assert await mcp.found("plans", **{name: "health"}) == ["Anna plans"]
    await mcp.call("update_memory", Id=two[1], **{name: "health"})
    assert len(await mcp.found("plans", topic_category="health")) == 2
    for twice in ({name: "x", "topic_category": "health"}, {"topic_category": "health", name: "x"}):
        assert (await mcp.refusal("search", query="plans", **twice)).endswith("give topic_category only once.")


@rows("name", ["arguments", "params", "parameters", "args", "input", "kwargs"])
async def test_arguments_may_be_wrapped_once_more(mcp: Mcp, two: list[str], name: str) -> None:
    inner = {"query": "plans", "topicCategory": "health"}
    (result,) = (await mcp.call("search", toolCallId="call_1", **{name: inner}))["results"]
    assert result["id"] == two[0]
    for other in ("plans", ["plans"], 5, {"arguments": "plans"}, f'{{"query": "{"x" * 100_000}"}}'):
        assert (
            (await mcp.refusal("search", **{name: other})).partition(" ")[2].startswith("is not an argument of search")
        )
    assert (await mcp.refusal("search", query="plans", **{name: inner})).startswith(f"{name} is not an argument")


@rows("arguments", [{"query": "plans", "topicCategory": "health"}, '{"query": "plans", "topicCategory": "health"}'])
async def test_arguments_may_be_a_whole_call_of_the_tool(mcp: Mcp, two: list[str], arguments: object) -> None:
    whole = {"arguments": arguments}
    named: list[dict[str, object]] = [{key: "search", **whole} for key in ("name", "tool", "tool_name", "function")]
    flat = {"tool": "search", "query": "plans", "topic_category": "health"}
    for call in (*named, {"name": "mcp__selfmemory__search", **whole}, whole, flat):
        found = (await mcp.result("tools/call", name="search", arguments=call))["structuredContent"]["results"]
        assert found[0]["id"] == two[0], call
    for name in ("fetch", "research", 5):
        assert (await mcp.refusal("search", name=name, **whole)).startswith("name is not an argument of search")


async def test_what_clients_add_for_themselves_has_no_effect(mcp: Mcp) -> None:
    n8n = {"toolCallId": "call_0BCIShth4l", "sessionId": "bea37d4f", "chatInput": "my tea", "action": "sendMessage"}
    added = {**n8n, "task_progress": "- [x] Search", "wait_for_previous": True}
    added |= {"security_context": {"agent_fingerprint": {"uuid_str": "5e11"}}}  # CrewAI
    await mcp.add("Tea at five.", **added)
    assert await mcp.found("tea", **added) == ["Tea at five."]
    assert "metadata" in await mcp.refusal("search", query="tea", filter={"a": 1}, **added)


async def test_an_unknown_argument_changes_nothing(mcp: Mcp) -> None:
    await mcp.refusal("add_memory", content="x", expires="tomorrow")
    assert (await mcp.call("list_memories"))["total"] == 0


@rows("arguments", [None, "", " ", "{}", '{"limit": "1"}', {"limit": 1}])
async def test_all_arguments_may_be_null_or_the_text_of_an_object(mcp: Mcp, arguments: object) -> None:
    await mcp.add("note")
    result = await mcp.result("tools/call", name="list_memories", arguments=arguments)
    assert result["structuredContent"]["total"] == 1


@rows("arguments", ["nonsense", "[1]", [1], 7, "{" * 3000, '{"limit": "\\ud800"}'])
async def test_arguments_that_are_no_object_are_a_protocol_error(mcp: Mcp, arguments: object) -> None:
    answer = await mcp.send("tools/call", {"name": "list_memories", "arguments": arguments})
    assert answer.json()["error"]["code"] == -32602
    assert len(answer.text) < 400


async def arguments_of(mcp: Mcp, tool: str) -> list[str]:
    tools = (await mcp.result("tools/list"))["tools"]
    return next(list(one["inputSchema"]["properties"]) for one in tools if one["name"] == tool)
