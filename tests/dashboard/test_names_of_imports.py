"""The list of memories names their imports, and tells those of the same name apart by their times."""

import re
from datetime import UTC, datetime

import sqlalchemy as sa

from server.models import Memory
from server.models.base import new_id
from server.models.sources import SourceKind
from server.storage.database import Database
from tests.support.visitors import Visitor, seen


async def imported(ann: Visitor, database: Database, name: str, *times: str) -> list[str]:
    """Add a memory of an import for each time. Return the ids of the imports."""
    ids = [new_id("imp_", datetime.fromisoformat(time).replace(tzinfo=UTC)) for time in times]
    for import_id in ids:
        memory_id = await ann.remember(f"From {name}.")
        values = {"source_kind": SourceKind.IMPORT.value, "source_id": import_id, "source_name": name}
        with database.write() as session:
            session.execute(sa.update(Memory).where(sa.column("id") == memory_id).values(values))
    return ids


async def test_imports_of_the_same_name_have_their_times(ann: Visitor, database: Database) -> None:
    first, _ = await imported(ann, database, "Import", "2026-01-30T09:05:07", "2026-01-30T09:05:59")
    await imported(ann, database, "ChatGPT", "2026-02-01T00:00:00")
    page = await ann.get(f"{ann.project}/memories")
    chips = re.findall(r">(imported [^<]*?)\s*<span class=\"count\">", page.text)
    assert sorted(chips) == [
        "imported Jan 30, 2026 09:05:07", "imported Jan 30, 2026 09:05:59", "imported from ChatGPT",
    ]  # fmt: skip
    options = re.findall(r"<option value=\"imp_[^>]*>([^<]*)<", page.text)
    assert sorted(options) == ["Import Jan 30, 2026 09:05:07", "Import Jan 30, 2026 09:05:59", "Import from ChatGPT"]
    chosen = seen(await ann.get(f"{ann.project}/memories?source={first}"))
    assert "imported Jan 30, 2026 09:05:07 ×" in chosen


async def test_their_times_are_in_the_zone_of_the_reader(ann: Visitor, database: Database) -> None:
    await imported(ann, database, "ChatGPT", "2026-01-30T09:05:07", "2026-01-30T23:30:00")
    ann.client.cookies.set("zone", "Europe%2FRome")
    page = (await ann.get(f"{ann.project}/memories")).text
    assert "imported from ChatGPT Jan 30, 2026 10:05:07" in page
    assert "imported from ChatGPT Jan 31, 2026 00:30:00" in page
