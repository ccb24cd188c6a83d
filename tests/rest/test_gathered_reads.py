"""Many reads of memories take little space in the activity, and none of them is left out."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import col

from server.domain.memory.activity import SHOWN_IDS
from server.models import ActivityEvent
from server.shell import gathered_reads
from server.shell.activity_log import ActivityLog
from server.shell.gathered_reads import MOST_SINGLE
from server.storage.database import Database
from tests.conftest import Tenant
from tests.rest.conftest import Caller
from tests.rest.test_activity import events, noted

__all__ = ["events"]

MANY = MOST_SINGLE + 30


async def test_a_reader_cannot_fill_the_disk_with_events(api: Caller, events: Any) -> None:
    """With 1,200 lists of 100 memories a minute, a key that only reads stored 12 GB a day, which no quota limits."""
    await api.add("Tea.")
    for _ in range(MANY):
        await api.listed("?limit=1")
    listed = await events("?limit=100")
    assert Counter(event["kind"] for event in listed) == {"list": MOST_SINGLE + 1, "add": 1}
    assert sum(event["count"] for event in listed if event["kind"] == "list") == MANY


async def test_a_reader_who_looks_at_the_activity_cannot_fill_the_disk_either(api: Caller, events: Any) -> None:
    await api.add("Tea.")
    for _ in range(MANY):
        await api.listed("?limit=1")
        await events()
    listed = await events("?limit=100")
    assert Counter(event["kind"] for event in listed) == {"list": MOST_SINGLE + 1, "add": 1}
    assert sum(event["count"] for event in listed if event["kind"] == "list") == MANY


def stored(database: Database, kind: str) -> Sequence[ActivityEvent]:
    with database.read() as session:
        of_kind = sa.select(ActivityEvent).where(col(ActivityEvent.kind) == kind)
        return session.scalars(of_kind.order_by(col(ActivityEvent.id))).all()


def test_reads_beyond_the_first_ones_become_an_event_of_each_credential(database: Database, alice: Tenant) -> None:
    log = ActivityLog(database, days=30)
    for number in range(MANY):
        for key in ("key_1", "key_2"):
            ids = [f"mem_{key}_{number}_{place}" for place in range(9)]
            log.add([noted(alice.project_id, kind="list", count=9, memory_ids=ids, source_id=key)])
    log.add([noted(alice.project_id, kind="search") for _ in range(MANY)])
    log.close()
    lists = stored(database, "list")
    assert len(lists) == MOST_SINGLE + 2
    assert sum(event.count for event in lists) == 2 * MANY * 9
    assert [len(event.memory_ids) for event in lists[-2:]] == [SHOWN_IDS] * 2
    assert {event.source_id for event in lists[-2:]} == {"key_1", "key_2"}
    assert all(event.source_id in event.memory_ids[0] for event in lists)
    assert len(stored(database, "search")) == MANY


def test_every_memory_that_was_read_is_named(database: Database, alice: Tenant) -> None:
    log = ActivityLog(database, days=30)
    ids = [f"mem_{number}" for number in range(MOST_SINGLE + 2 * SHOWN_IDS + 1)]
    log.add([noted(alice.project_id, kind="read", count=1, memory_ids=[one]) for one in ids])
    log.close()
    reads = stored(database, "read")
    assert [one for event in reads for one in event.memory_ids] == ids
    assert len(reads) == MOST_SINGLE + 3


def test_other_workers_and_a_kill_do_not_miss_what_is_still_gathered(
    database: Database, alice: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathered_reads, "STORED_SECONDS", 0)
    log = ActivityLog(database, days=30)
    ids = [f"mem_{number}" for number in range(2 * MANY)]
    for some in (ids[:MANY], ids[MANY:]):
        log.add([noted(alice.project_id, kind="read", count=1, memory_ids=[one]) for one in some])
        log.flush(all_of_them=False)
        reads = stored(database, "read")
        assert [one for event in reads for one in event.memory_ids] == ids[: ids.index(some[-1]) + 1]
        assert len(reads) == MOST_SINGLE + 1
        assert reads[-1].count == len(reads[-1].memory_ids)


def test_a_new_period_begins_with_events_of_their_own(
    database: Database, alice: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathered_reads, "PERIOD_SECONDS", 0)
    log = ActivityLog(database, days=30)
    for _ in range(2):
        log.add([noted(alice.project_id, kind="read", count=1, memory_ids=["mem_1"]) for _ in range(MANY)])
        log.flush(all_of_them=False)
    log.close()
    counts = [event.count for event in stored(database, "read")]
    assert (len(counts), sum(counts)) == (2 * MOST_SINGLE + 2, 2 * MANY)
