"""The pages show a project's quota and its use."""

import pytest

from server.settings import Settings
from tests.conftest import ORIGIN
from tests.support.visitors import Visitor, seen


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"quota_memories": 2, "quota_bytes": 2_000_000})


async def test_the_overview_shows_the_use_of_the_quota(ann: Visitor) -> None:
    await ann.remember("One.")
    assert "Memory quota 1 of 2 Storage quota" in await ann.see(ann.project)


async def test_an_uploaded_file_keeps_to_the_quota(ann: Visitor) -> None:
    await ann.remember("One.")
    file = {"file": ("memories.jsonl", b'{"content": "Two."}\n{"content": "Three."}\n')}
    uploaded = await ann.client.post(f"{ann.project}/transfer", files=file, headers={"Origin": ORIGIN})
    page = uploaded.headers["location"]
    await ann.do(page)
    problem = "This project is full: it holds 1 of at most 2 memories, and this needs 2 more."
    assert problem in await ann.see(page)
    assert "Two." not in await ann.see(f"{ann.project}/memories")


async def test_a_viewer_is_refused_before_the_quota_of_the_target_is_asked(ann: Visitor, viewer: Visitor) -> None:
    memory_id = await ann.remember("One.")
    await viewer.remember_all(["One.", "Two."])
    fields = {"action": "move", "ids": memory_id, "target": viewer.tenant.project_id}
    refused = await viewer.post(f"{ann.project}/memories/selected", fields)
    assert (refused.status_code, "A viewer may not write in this project." in seen(refused)) == (403, True)
