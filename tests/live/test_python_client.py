"""The published Python package, unchanged, works against a served app."""

import asyncio
import inspect
import re
from collections.abc import Iterator

import pytest
from selfmemory.client.main import SelfMemoryClient  # type: ignore[import-untyped]  # it has no types
from starlette.types import ASGIApp

from tests.conftest import Tenant
from tests.support.served import listening, served


def every_result_of(client: SelfMemoryClient) -> Iterator[tuple[str, object]]:
    """Call each of the client's methods and yield what it returns."""
    first = client.add("I had pizza with Sarah", tags="food,evening", people_mentioned="Sarah", topic_category="life")
    client.add([{"role": "user", "content": "Where is the key?"}, {"role": "assistant", "content": "Under the mat."}])
    client.add({"role": "user", "content": "The report is due"}, metadata={"source": "mail"})
    yield "added", first["success"]
    yield "all", [memory["content"] for memory in client.get_all()["results"]]
    yield "page", [memory["content"] for memory in client.get_all(limit=1, offset=2)["results"]]
    yield "found", client.search("pizza", tags=["food"], people_mentioned=["Sarah"], limit=5)["results"][0]["content"]
    filtered = client.search("report", topic_category="life", temporal_filter="today", threshold=0.0)
    yield "filtered", [memory["content"] for memory in filtered["results"]]
    yield "today", len(client.temporal_search("today")["results"])
    yield "tagged", len(client.search_by_tags("food,work", semantic_query="pizza")["results"])
    yield "tagged with all", len(client.search_by_tags(["food", "work"], match_all=True)["results"])
    yield "with people", len(client.search_by_people("Sarah")["results"])
    yield "counted", client.get_stats()["total"]
    yield "health", client.health_check()["status"]
    yield "deleted", client.delete(first["memory_id"])["message"]
    yield "refused", client.delete(first["memory_id"])
    yield "emptied", client.delete_all()["deleted_count"]
    yield "empty", client.get_all()["results"]


def test_every_method_of_the_client_is_called() -> None:
    methods = {name for name, _ in inspect.getmembers(SelfMemoryClient, callable) if not name.startswith("_")}
    called = set(re.findall(r"client\.(\w+)\(", inspect.getsource(every_result_of)))
    assert methods - {"close"} == called  # the `with` block calls it


@pytest.fixture(params=["api_key", "oauth_token"])
def credential(request: pytest.FixtureRequest, alice: Tenant) -> dict[str, str]:
    """The client sends either as a bearer token."""
    return {request.param: alice.key}


async def test_the_published_client_works_unchanged(app: ASGIApp, credential: dict[str, str]) -> None:
    def run(url: str) -> dict[str, object]:
        with SelfMemoryClient(host=url, **credential) as client:
            return dict(every_result_of(client))

    with listening() as listener:
        async with served(app, listener) as url:
            seen = await asyncio.to_thread(run, url)
    assert seen == {
        "added": True,
        "all": ["The report is due", "user: Where is the key?\nassistant: Under the mat.", "I had pizza with Sarah"],
        "page": ["I had pizza with Sarah"],
        "found": "I had pizza with Sarah",
        "filtered": ["I had pizza with Sarah"],
        "today": 3,
        "tagged": 1,
        "tagged with all": 0,
        "with people": 1,
        "counted": 3,
        "health": "healthy",
        "deleted": "Memory deleted successfully",
        "refused": {"success": False, "error": "Memory not found."},
        "emptied": 2,
        "empty": [],
    }


async def test_a_wrong_key_is_reported(app: ASGIApp) -> None:
    def run(url: str) -> dict[str, object]:
        with SelfMemoryClient(host=url, api_key="sk_im_wrong") as client:
            found: dict[str, object] = client.search("pizza")
            return found

    with listening() as listener:
        async with served(app, listener) as url:
            found = await asyncio.to_thread(run, url)
    assert found["results"] == []
    assert "valid API key" in str(found["error"])
