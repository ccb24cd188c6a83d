"""The pages count no memory that has expired, also before it is deleted."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from server.dashboard.layout import Frame
from server.dashboard.pages import PageRequest
from server.models import Memory
from server.models.base import now
from server.storage.database import Database
from tests.support.visitors import Visitor

EXPIRED = "The ferry is late today."


async def expired(ann: Visitor, database: Database) -> None:
    """Add a memory that expired a moment ago."""
    memory_id = await ann.remember(EXPIRED)
    with database.write() as session:
        gone = sa.update(Memory).where(sa.column("id") == memory_id)
        session.execute(gone.values(expires_at=now() - timedelta(seconds=1)))


async def test_no_page_counts_an_expired_memory(ann: Visitor, database: Database) -> None:
    await ann.remember("Anna likes tea.")
    await expired(ann, database)
    organization = f"/dashboard/organizations/{ann.tenant.organization_id}"
    for page, text in (
        (f"{ann.project}/memories", "1 memory in "),
        (f"{ann.project}/transfer", "1 memory in My Memories. You"),
        (f"{ann.project}/similar", "There is only one memory."),
        (f"{ann.project}/settings", "with 1 memory, its API keys"),
        ("/dashboard/organizations", "1 memory"),
        (f"{organization}/projects", "1 memory"),
    ):
        shown = await ann.see(page)
        assert text in shown, page
        assert "2 memories" not in shown, page


async def test_no_size_includes_an_expired_memory(ann: Visitor, database: Database) -> None:
    await ann.remember("Anna likes tea.")
    page = f"/dashboard/organizations/{ann.tenant.organization_id}/projects"
    before = re.findall(r"[\d.]+ (?:bytes|kB)", await ann.see(page))
    assert len(before) == 2
    await expired(ann, database)
    assert re.findall(r"[\d.]+ (?:bytes|kB)", await ann.see(page)) == before


async def test_sizes_below_a_kilobyte_are_in_lowercase_bytes(ann: Visitor) -> None:
    assert "Text stored 0 bytes" in await ann.see(f"{ann.organization}/projects")


async def test_the_sizes_are_shown_while_a_project_is_deleted(ann: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    projects = f"/dashboard/organizations/{ann.tenant.organization_id}/projects"
    frame = PageRequest.frame

    async def frame_before_the_deletion(request: PageRequest) -> Frame:
        read = await frame(request)
        monkeypatch.setattr(PageRequest, "frame", frame)
        await ann.client.delete(f"/api/projects/{ann.tenant.project_id}")
        return read

    monkeypatch.setattr(PageRequest, "frame", frame_before_the_deletion)
    assert "My Memories" in await ann.see(projects)


async def test_a_project_whose_memories_have_all_expired_takes_examples(ann: Visitor, database: Database) -> None:
    await expired(ann, database)
    assert "Add example memories" in await ann.see(ann.project)
    await ann.do(f"{ann.project}/examples")
    assert EXPIRED not in await ann.see(f"{ann.project}/memories")


async def test_deleting_a_project_counts_no_expired_memory(ann: Visitor, database: Database) -> None:
    await ann.remember("Anna likes tea.")
    await expired(ann, database)
    answer = await ann.client.delete(f"/api/projects/{ann.tenant.project_id}")
    assert answer.json()["cascades"]["memories"] == 1
