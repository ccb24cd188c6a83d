"""Prompts and resources, which people choose in an assistant."""

import pytest

from tests.support.tables import rows
from tests.tools.conftest import MODERN, Mcp
from tools import resources


async def test_there_are_three_prompts(mcp: Mcp) -> None:
    listed = (await mcp.result("prompts/list"))["prompts"]
    assert [prompt["name"] for prompt in listed] == ["remember", "recall", "briefing"]
    assert [[argument["name"] for argument in prompt["arguments"]] for prompt in listed] == [[], ["topic"], []]
    for prompt in listed:
        assert prompt["title"]
        assert prompt["description"]
        got = await mcp.result("prompts/get", name=prompt["name"], arguments={"topic": "the {harbor} office"})
        (message,) = got["messages"]
        assert (message["role"], message["content"]["type"]) == ("user", "text")
        assert ("the {harbor} office" in message["content"]["text"]) == (prompt["name"] == "recall")


@rows(
    ("name", "arguments", "sentence"),
    [
        ("recall", {}, "topic: is required."),
        ("recall", {"topic": " "}, "topic: is required."),
        ("forget", {}, "Unknown prompt. The prompts are remember, recall, briefing."),
    ],
)
async def test_a_prompt_that_cannot_be_given_says_why(
    mcp: Mcp, name: str, arguments: dict[str, str], sentence: str
) -> None:
    answer = await mcp.send("prompts/get", {"name": name, "arguments": arguments})
    assert answer.json()["error"] == {"code": -32602, "message": sentence}


async def test_a_memory_is_a_resource(mcp: Mcp, reader: Mcp) -> None:
    text = "Tea at five.\n" * 400
    memory_id = await mcp.add(text.strip())
    (resource,) = (await reader.result("resources/list"))["resources"]
    assert resource["uri"] == f"memory://{memory_id}"
    assert resource["name"] == resource["title"] == "Tea at five."
    for uri in (f"memory://{memory_id}", f"MEMORY://{memory_id}", f"memory://{memory_id}/"):
        assert await read(reader, uri) == text.strip()
    (template,) = (await reader.result("resources/templates/list"))["resourceTemplates"]
    assert template["uriTemplate"] == "memory://{id}"


async def read(mcp: Mcp, uri: str) -> str:
    answer = await mcp.send("resources/read", {"uri": uri, "name": uri})
    assert answer.status_code == 200, answer.text
    (content,) = answer.json()["result"]["contents"]
    assert (content["uri"], content["mimeType"]) == (uri, "text/plain")
    return str(content["text"])


@pytest.mark.parametrize("revision", [MODERN])
async def test_resources_are_listed_in_pages_newest_first(mcp: Mcp) -> None:
    bodies = [{"messages": [{"role": "user", "content": f"note {number}"}]} for number in range(101)]
    await mcp.client.post("/api/memories/batch", json={"memories": bodies}, headers=mcp.headers)
    names: list[str] = []
    page = await mcp.result("resources/list")
    while True:
        names += [resource["name"] for resource in page["resources"]]
        if "nextCursor" not in page:
            break
        assert len(page["resources"]) == 50
        page = await mcp.result("resources/list", cursor=page["nextCursor"])
    assert names == [f"note {number}" for number in reversed(range(101))]
    (project,) = (await mcp.client.get("/api/projects", headers=mcp.headers)).json()["projects"]
    activity = f"/api/projects/{project['id']}/activity?kind=list"
    events = (await mcp.client.get(activity, headers=mcp.headers)).json()["events"]
    assert [event["count"] for event in events] == [1, 50, 50]


async def test_only_the_newest_memories_are_listed(mcp: Mcp, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resources.PAGE_LENGTH * resources.MOST_PAGES == 1_000
    monkeypatch.setattr(resources, "PAGE_LENGTH", 1)
    monkeypatch.setattr(resources, "MOST_PAGES", 2)
    bodies = [{"messages": [{"role": "user", "content": f"note {number}"}]} for number in range(3)]
    await mcp.client.post("/api/memories/batch", json={"memories": bodies}, headers=mcp.headers)
    first = await mcp.result("resources/list")
    second = await mcp.result("resources/list", cursor=first["nextCursor"])
    assert [page["resources"][0]["name"] for page in (first, second)] == ["note 2", "note 1"]
    assert "nextCursor" not in second


async def test_a_resource_that_is_not_there_is_no_resource(mcp: Mcp, stranger: Mcp) -> None:
    memory_id = await mcp.add("Tea at five.")
    assert (await stranger.result("resources/list"))["resources"] == []
    never = f"memory://mem_{'0' * 32}"
    for uri in (f"memory://{memory_id}", never, "memory://nonsense", f"file:///{memory_id}"):
        error = (await stranger.send("resources/read", {"uri": uri, "name": uri})).json()["error"]
        assert error == {
            "code": -32602,
            "message": "There is no memory with this id. Use an id from the results of search or list_memories.",
            "data": {"uri": uri},
        }


async def test_a_blank_cursor_is_the_first_page(mcp: Mcp) -> None:
    await mcp.add("Tea at five.")
    for cursor in ("", None):
        (resource,) = (await mcp.result("resources/list", cursor=cursor))["resources"]
        assert resource["name"] == "Tea at five."


@rows("cursor", ["nonsense", "mem_1", f"mem_{'z' * 32}.1", f"mem_{'0' * 32}"])
async def test_an_unknown_cursor_is_refused(mcp: Mcp, cursor: str) -> None:
    answer = await mcp.send("resources/list", {"cursor": cursor})
    assert answer.json()["error"]["message"] == "cursor: must be the nextCursor of the previous page."


@rows("method", ["tools/list", "prompts/list", "resources/templates/list"])
async def test_a_list_of_one_page_refuses_a_cursor(mcp: Mcp, method: str) -> None:
    error = (await mcp.send(method, {"cursor": "nonsense"})).json()["error"]
    assert error["code"] == -32602
    assert error["message"] == "cursor: must be left out, because this list has one page."
    assert await mcp.result(method, cursor="")
