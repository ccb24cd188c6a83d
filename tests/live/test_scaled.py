"""Two workers on Postgres, a Chroma server and Redis, while each of these and each worker is killed or hangs.

Nothing acknowledged is lost, and nobody has to do anything for the server to go on.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from tests.live.test_server import add, client_of, new_key, search
from tests.support.scaled import Service, Stack, running_stack
from tests.support.server_process import ServerProcess, started, workers_of
from tests.support.world import eventually

pytestmark = [pytest.mark.needs("own postgres"), pytest.mark.needs("own redis")]
WRITERS = 3
CHANGES_A_DAY = 4


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running_stack() as stack:
        yield stack


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scaled")


@pytest.fixture(scope="module")
def key(stack: Stack, folder: Path) -> str:
    return new_key(folder, **stack.settings)


@pytest.fixture(scope="module")
def server(stack: Stack, folder: Path, key: str) -> Iterator[ServerProcess]:
    """A server that uses Chroma from the third memory on."""
    assert key
    limits = {"RATE_LIMIT_MEMORY_ADD": "100000/minute", "RATE_LIMIT_REQUEST": "100000/minute"}
    changes = {"RATE_LIMIT_MEMORY_CHANGE": f"{CHANGES_A_DAY}/day", "EXACT_SCAN_LIMIT": "2"}
    with started(folder, "--workers", "2", **stack.settings, **limits, **changes) as server:
        yield server


class Load:
    """Adds memories all the time, each through a new connection. `acknowledged` has those that were answered 200."""

    def __init__(self, server: ServerProcess, key: str) -> None:
        self.acknowledged: dict[str, str] = {}
        self._server, self._key = server, key
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(name,)) for name in range(WRITERS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        self.goes_on()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def goes_on(self) -> None:
        """Wait until more is acknowledged."""
        before = len(self.acknowledged)
        eventually(lambda: len(self.acknowledged) > before + WRITERS)

    def _run(self, name: int) -> None:
        number = 0
        while not self._ending.is_set():
            number += 1
            text = f"Writer {name} of {id(self)} left parcel {number} in the harbour."
            with contextlib.suppress(httpx.HTTPError), client_of(self._server, self._key) as client:
                answer = client.post("/api/memories", json={"messages": [{"role": "user", "content": text}]})
                if answer.status_code == 200:
                    self.acknowledged[answer.json()["memory_id"]] = text


def assert_kept(server: ServerProcess, key: str, acknowledged: dict[str, str]) -> None:
    with client_of(server, key) as client:
        for memory_id, text in acknowledged.items():
            assert client.get(f"/api/memories/{memory_id}").json()["content"] == text
        last = list(acknowledged.values())[-1]
        assert last in search(client, last)


def metric(server: ServerProcess, name: str) -> float:
    lines = httpx.get(f"{server.url}/metrics", timeout=30).text.splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"selfmemory_{name} "))


def test_what_one_worker_stores_both_find_by_the_chroma_server(server: ServerProcess, stack: Stack, key: str) -> None:
    notes = [f"Note {number} about tea" for number in range(6)]
    for note in notes:
        with client_of(server, key) as client:  # a new connection, which any worker may get
            add(client, note)
    where = f"{stack.settings['CHROMA_URL']}/api/v2/tenants/default_tenant/databases/default_database/collections"
    eventually(lambda: bool(httpx.get(where).json()) and metric(server, "index_pending") == 0)
    for _ in range(4):
        with client_of(server, key) as client:
            assert sorted(search(client, "tea")) == notes


def test_both_workers_own_a_part_of_the_index(server: ServerProcess, stack: Stack, key: str) -> None:
    eventually(lambda: stack.owners() == set(workers_of(server)))
    eventually(lambda: metric(server, "index_owner") == 1)


def test_redis_counts_what_both_workers_did(server: ServerProcess, key: str) -> None:
    statuses = []
    for _ in range(2 * CHANGES_A_DAY):
        with client_of(server, key) as client:
            memory_id = add(client, "a note that goes at once")
            statuses.append(client.delete(f"/api/memories/{memory_id}").status_code)
    assert statuses == [200] * CHANGES_A_DAY + [429] * CHANGES_A_DAY


def test_nothing_is_lost_when_a_worker_is_killed(server: ServerProcess, stack: Stack, key: str) -> None:
    eventually(lambda: len(workers_of(server)) == 2 and stack.owners() == set(workers_of(server)))
    killed = workers_of(server)[0]
    with Load(server, key) as load:
        os.kill(killed, signal.SIGKILL)
        load.goes_on()
    assert_kept(server, key, load.acknowledged)
    eventually(lambda: len(workers_of(server)) == 2 and stack.owners() == set(workers_of(server)), seconds=60)


@pytest.mark.parametrize("name", ["postgres", "chroma", "redis"])
def test_nothing_is_lost_when_a_service_is_killed_and_starts_again(
    server: ServerProcess, stack: Stack, key: str, name: str
) -> None:
    service: Service = getattr(stack, name)
    with Load(server, key) as load:
        service.kill()
        if name != "postgres":
            load.goes_on()
        service.start()
        load.goes_on()
    assert_kept(server, key, load.acknowledged)


@pytest.mark.parametrize("name", ["chroma", "redis"])
def test_nobody_waits_long_for_a_service_that_hangs(server: ServerProcess, stack: Stack, key: str, name: str) -> None:
    service: Service = getattr(stack, name)
    with service.hanging(), client_of(server, key) as client:
        began = time.monotonic()
        text = f"While {name} hangs, the ferry leaves at noon."
        add(client, text)
        assert search(client, text)[0] == text
        assert time.monotonic() - began < 12


def test_while_postgres_hangs_the_server_says_so_and_goes_on_afterwards(
    server: ServerProcess, stack: Stack, key: str
) -> None:
    with client_of(server, key) as client:
        with stack.postgres.hanging():
            assert client.get("/health/live").status_code == 200
            eventually(lambda: client.get("/health/ready").status_code == 503)
        eventually(lambda: client.get("/health/ready").status_code == 200)
        add(client)


def test_a_stop_under_load_loses_nothing(server: ServerProcess, stack: Stack, key: str) -> None:
    """It comes last: it ends the server."""
    with Load(server, key) as load:
        assert server.stop() == 0
    engine = sa.create_engine(stack.settings["DATABASE_URL"], poolclass=sa.NullPool)
    with engine.connect() as connection:
        stored = set(connection.execute(sa.text("SELECT id FROM memories")).scalars())
    assert load.acknowledged.keys() - stored == set()
    assert [line for line in server.log if "Z error " in line] == []
