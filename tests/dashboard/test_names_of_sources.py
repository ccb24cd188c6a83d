"""Pages name what memories came from, and tell sources of the same name apart by their times."""

import re
from datetime import UTC, datetime

import httpx
import sqlalchemy as sa

from server.models import Memory
from server.models.base import new_id
from server.models.sources import SourceKind
from server.storage.database import Database
from tests.support.visitors import Visitor, seen

PREFIXES = {SourceKind.IMPORT: "imp_", SourceKind.API_KEY: "key_", SourceKind.SESSION: "ses_"}


async def saved(ann: Visitor, database: Database, kind: SourceKind, name: str, *times: str) -> list[str]:
    """Add a memory of a source for each time. Return the ids of the sources."""
    prefix = PREFIXES[kind]
    ids = [new_id(prefix, datetime.fromisoformat(time).replace(tzinfo=UTC)) for time in times]
    for source_id, time in zip(ids, times, strict=True):
        memory_id = await ann.remember(f"From {name}, {time}.")
        values = {"source_kind": kind.value, "source_id": source_id, "source_name": name}
        with database.write() as session:
            session.execute(sa.update(Memory).where(sa.column("id") == memory_id).values(values))
    return ids


async def imported(ann: Visitor, database: Database, name: str, *times: str) -> list[str]:
    return await saved(ann, database, SourceKind.IMPORT, name, *times)


def chips(page: httpx.Response) -> list[tuple[str, str]]:
    return re.findall(r">((?:imported|via) [^<]*?)\s*<span class=\"count\">(\d+)", page.text)


async def test_imports_of_the_same_name_have_their_times(ann: Visitor, database: Database) -> None:
    first, _ = await imported(ann, database, "Import", "2026-01-30T09:05:07", "2026-01-30T09:05:59")
    await imported(ann, database, "ChatGPT", "2026-02-01T00:00:00")
    page = await ann.get(f"{ann.project}/memories")
    assert sorted(name for name, _ in chips(page) if name.startswith("imported")) == [
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


async def test_keys_of_the_same_name_have_their_times(ann: Visitor, database: Database) -> None:
    await imported(ann, database, "Notes", "2026-01-29T10:00:00")
    await saved(ann, database, SourceKind.API_KEY, "Notes", "2026-01-28T10:00:00")
    first, _ = await saved(
        ann, database, SourceKind.API_KEY, "Command line", "2026-01-30T09:05:07", "2026-01-31T10:00:00"
    )
    names = {name for name, _ in chips(await ann.get(f"{ann.project}/memories"))}
    assert names >= {
        "via Command line Jan 30, 2026 09:05:07", "via Command line Jan 31, 2026 10:00:00",
        "via Notes", "imported from Notes",
    }  # fmt: skip
    assert "via Command line Jan 30, 2026 09:05:07 ×" in seen(await ann.get(f"{ann.project}/memories?source={first}"))


async def test_the_browsers_of_people_are_one_source(ann: Visitor, database: Database) -> None:
    await saved(ann, database, SourceKind.SESSION, "Dashboard", "2026-01-30T09:05:07", "2026-01-31T10:00:00")
    page = await ann.get(f"{ann.project}/memories")
    assert chips(page) == [("via Dashboard", "2")]
    assert page.text.count(">The dashboard</option>") == 1
    assert "Dashboard</option>" not in page.text
    assert f"{ann.project}/memories?source=session" in page.text
    assert "via Dashboard ×" in await ann.see(f"{ann.project}/memories?source=session")
    assert chips(await ann.get(f"{ann.project}/memories?q=Dashboard")) == [("via Dashboard", "2")]


async def test_a_kind_of_source_is_named_as_the_filter_names_it(ann: Visitor) -> None:
    assert "Any API key ×" in await ann.see(f"{ann.project}/memories?source=api_key")


async def test_activity_tells_keys_of_the_same_name_apart(ann: Visitor) -> None:
    for _ in range(2):
        key = (await ann.client.post(f"/api/projects/{ann.tenant.project_id}/api-keys", json={"name": "Script"})).json()
        headers = {"Authorization": f"Bearer {key['api_key']}"}
        assert (await ann.client.post("/api/memories", json={"content": key["id"]}, headers=headers)).status_code == 200
    named = rf"Script {datetime.now(UTC):%b} \d+, \d{{4}} [\d:]{{8}}"
    for page in (f"{ann.project}/activity", ann.project):  # the first stores what happened
        assert len(re.findall(named, await ann.see(page))) >= 2, page
