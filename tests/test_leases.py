"""Processes share the index of a Postgres database by leases, and one that lost its lease changes nothing."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from server.index.upkeep import leases
from server.index.upkeep.leases import SHARDS, LeaseLost, Leases
from server.index.upkeep.owner_lock import OwnerLock
from server.models import IndexTask
from server.settings import Settings
from server.storage.database import Database
from tests.support.world import eventually

pytestmark = [
    pytest.mark.needs("postgres"),
    pytest.mark.parametrize("database_url", ["postgres"], indirect=True),
]

ALL = frozenset(range(SHARDS))


@pytest.fixture
def stored(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr(leases, "LEASE_SECONDS", 0.2)
    with contextlib.closing(Database(database_url, connections=4)) as database:
        yield database


def takes(lease: Leases, count: int) -> bool:
    lease.balance()
    return len(lease.shards) == count


def test_one_process_holds_all_and_gives_it_up_at_once(stored: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "LEASE_SECONDS", 60.0)
    monkeypatch.setattr(leases, "LOOK_SECONDS", 0.0)
    first, second = Leases(stored, share=False), Leases(stored, share=False)
    first.balance()
    second.balance()
    assert (first.shards, second.shards) == (ALL, frozenset())
    first.release()
    second.balance()
    assert (first.shards, second.shards) == (frozenset(), ALL)


def test_processes_that_share_hold_about_the_same(stored: Database) -> None:
    processes = [Leases(stored, share=True) for _ in range(3)]
    assert takes(processes[0], SHARDS)

    def is_balanced() -> bool:
        for process in processes:
            process.balance()
        return sorted(len(process.shards) for process in processes) == [2, 3, 3]

    eventually(is_balanced)
    assert frozenset.union(*(process.shards for process in processes)) == ALL
    processes.pop().release()
    eventually(lambda: all(takes(process, 4) for process in processes))


def test_what_a_process_that_died_held_is_taken_when_its_lease_ends(stored: Database) -> None:
    died, other = (Leases(stored, share=True) for _ in range(2))
    assert takes(died, SHARDS)
    assert not takes(other, SHARDS)
    eventually(lambda: takes(other, SHARDS), seconds=2)


def test_a_process_that_died_is_succeeded_at_once_in_its_folder(stored: Database, settings: Settings) -> None:
    died, other = (OwnerLock(settings, stored) for _ in range(2))
    assert died.acquire()
    assert not other.acquire()
    assert died._file is not None
    died._file.release()  # as the kernel does
    assert other.acquire()
    assert len(other.shards) == SHARDS


def test_a_frozen_process_can_write_nothing_after_it_lost_its_lease(stored: Database) -> None:
    frozen, other = Leases(stored, share=False), Leases(stored, share=False)
    frozen.balance()
    owned = stored.guarded(frozen.require)
    with owned.write():
        pass
    eventually(lambda: takes(other, SHARDS), seconds=2)
    with pytest.raises(LeaseLost), owned.write():
        pass
    other.release()  # the fence says that it was lost, although no other process holds it now
    with pytest.raises(LeaseLost):
        frozen.renew()
    assert not frozen.balance()
    assert frozen.shards == ALL
    with owned.write():
        pass


WRITER = """
import sys
from server.storage.database import Database
from server.index.upkeep import leases
from server.models import IndexTask
leases.LEASE_SECONDS = 0.3
database = Database(sys.argv[1], connections=2)
lease = leases.Leases(database, share=False)
lease.balance()
print("owns", flush=True)
sys.stdin.readline()
try:
    with database.guarded(lease.require).write() as session:
        session.add(IndexTask(project_id="", memory_number=1))
except leases.LeaseLost:
    print("lost", flush=True)
"""


def test_a_process_that_is_stopped_by_a_signal_writes_nothing_when_it_goes_on(
    stored: Database, database_url: str
) -> None:
    command = [sys.executable, "-c", WRITER, database_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as frozen:
        assert frozen.stdout is not None
        assert frozen.stdout.readline() == "owns\n"
        frozen.send_signal(signal.SIGSTOP)
        other = Leases(stored, share=False)
        eventually(lambda: takes(other, SHARDS))
        frozen.send_signal(signal.SIGCONT)
        assert frozen.communicate("\n")[0] == "lost\n"
    with stored.read() as session:
        assert session.scalars(sa.select(IndexTask)).all() == []


def test_nobody_takes_over_during_a_transaction_of_the_owner(stored: Database) -> None:
    slow, other = Leases(stored, share=False), Leases(stored, share=False)
    slow.balance()
    with stored.guarded(slow.require).write(), pytest.raises(AssertionError):
        eventually(lambda: takes(other, SHARDS), seconds=0.4)
    eventually(lambda: takes(other, SHARDS), seconds=2)


def has_expired(database: Database) -> bool:
    with database.read() as session:
        return leases.owners(session) == [""]


def test_a_process_that_is_late_keeps_what_nobody_wanted(stored: Database) -> None:
    late = Leases(stored, share=False)
    late.balance()
    eventually(lambda: has_expired(stored))
    with stored.guarded(late.require).write():
        pass
    late.renew()
    assert late.balance()


def test_a_lease_that_ends_in_a_year_is_of_a_clock_that_was_set_back(stored: Database) -> None:
    died, other = (Leases(stored, share=True) for _ in range(2))
    assert takes(died, SHARDS)
    with stored.write() as session:
        for table in ("index_owners", "index_workers"):
            session.execute(sa.text(f"UPDATE {table} SET expires_at = expires_at + INTERVAL '1 year'"))
    assert takes(other, SHARDS)
