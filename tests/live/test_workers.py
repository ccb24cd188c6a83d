"""Several workers on SQLite and embedded Chroma, without any other server."""

import contextlib
import os
import resource
import shutil
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from server.commands.bounded_server import END_SECONDS
from server.machine.shared_folder import IN_MEMORY
from server.settings import METRICS_FOLDER
from tests.live.test_server import add, client_of, new_key, search
from tests.support.server_process import ServerProcess, owner_of, run, started, workers_of
from tests.support.world import eventually

CONNECTIONS = 4
START_SECONDS = 60
"""A worker starts within this time, on a busy machine too."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def key(folder: Path) -> str:
    return new_key(folder)


@pytest.fixture(scope="module")
def server(folder: Path, key: str) -> Iterator[ServerProcess]:
    """A server whose projects have a collection from the third memory on."""
    assert key
    with started(folder, WORKERS="2", EXACT_SCAN_LIMIT="2", RATE_LIMIT_MEMORY_CHANGE="4/day") as server:
        yield server


@contextlib.contextmanager
def several(server: ServerProcess, key: str) -> Iterator[list[httpx.Client]]:
    """Clients with a connection each, which stays open: the workers share them."""
    with contextlib.ExitStack() as opened:
        clients = [opened.enter_context(client_of(server, key)) for _ in range(CONNECTIONS)]
        for client in clients:
            assert client.get("/api/users/me").status_code == 200
        yield clients


def connections_of(pid: int) -> int:
    """Return how many established connections the process has."""
    files = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the process closed the file
            files.add(os.readlink(file))
    lines = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text("ascii").splitlines()[1:]]
    return sum(fields[3] == "01" and f"socket:[{fields[9]}]" in files for fields in lines)


def test_every_worker_sees_every_change_at_once(server: ServerProcess, key: str) -> None:
    notes = [f"Note {number} about tea" for number in range(2 * CONNECTIONS)]
    with several(server, key) as clients:
        ids = [add(client, note) for client, note in zip(clients * 2, notes, strict=True)]
        assert all(sorted(search(client, "tea")) == notes for client in clients)
        assert clients[0].delete(f"/api/memories/{ids.pop()}").status_code == 200
        assert all(sorted(search(client, "tea")) == notes[:-1] for client in clients)
    counted = httpx.get(f"{server.url}/metrics").text
    assert f'selfmemory_operations_total{{operation="memories.add"}} {len(notes)}.0' in counted


def test_a_metric_is_shown_once_and_of_no_single_worker(server: ServerProcess) -> None:
    shown = [httpx.get(f"{server.url}/metrics").text for _ in range(2)][-1]
    names = [line.split()[2] for line in shown.splitlines() if line.startswith("# TYPE")]
    assert sorted(names) == sorted(set(names))
    assert "pid=" not in shown


def test_workers_share_the_connections(server: ServerProcess, key: str) -> None:
    with contextlib.ExitStack() as opened:
        for _ in range(20):  # whichever worker is awake takes the next connection
            opened.enter_context(several(server, key))
            if all(connections_of(worker) > 1 for worker in workers_of(server)):
                return
    pytest.fail("one worker has nearly all connections")


def test_a_limit_counts_what_all_workers_did(server: ServerProcess, folder: Path) -> None:
    key = run(folder, "create-key", "--email", "ben@example.com").stdout.strip()
    with several(server, key) as clients:
        ids = [add(client) for client in clients * 2]
        answers = [
            client.delete(f"/api/memories/{memory_id}") for client, memory_id in zip(clients * 2, ids, strict=True)
        ]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 4
    assert int(answers[-1].headers["Retry-After"]) > 0


def test_a_second_server_on_the_folder_refuses_to_start(server: ServerProcess, folder: Path) -> None:
    assert server.process.poll() is None
    second = run(folder, "--port", "0")
    assert second.returncode == 1
    assert second.stderr.startswith("selfmemory: another server uses this SELFMEMORY_DATA_DIR")


@pytest.mark.needs("prlimit")
def test_too_many_open_files_are_one_line_a_second_and_nothing_is_wrong_afterwards(
    server: ServerProcess, key: str
) -> None:
    eventually(lambda: ready(server) == 2, START_SECONDS)
    beginning, address = len(server.log), ("127.0.0.1", int(server.url.rpartition(":")[2]))
    limits = {worker: resource.prlimit(worker, resource.RLIMIT_NOFILE) for worker in workers_of(server)}
    with contextlib.ExitStack() as opened:
        for room, (worker, (_, hard)) in zip((4, 20), limits.items(), strict=True):  # one takes more connections
            resource.prlimit(worker, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{worker}/fd")) + room, hard))
            opened.callback(resource.prlimit, worker, resource.RLIMIT_NOFILE, limits[worker])
        for _ in range(60):
            opened.enter_context(socket.create_connection(address))
        eventually(lambda: len(told_each_second(server.log[beginning:])) > 2)
    lines = server.log[beginning:]
    assert max(told_each_second(lines).values()) <= 2 * len(limits)
    assert not any("Traceback" in line for line in lines)
    with client_of(server, key) as client:
        add(client, "A note about rhubarb")
        assert search(client, "rhubarb")[0] == "A note about rhubarb"


def told_each_second(lines: list[str]) -> Counter[str]:
    """Return how many lines of each second say that a worker accepts no connections."""
    return Counter(line.split(" ")[0] for line in lines if "cannot accept connections" in line)


def test_when_the_owner_of_the_index_is_killed_another_worker_takes_over(
    server: ServerProcess, folder: Path, key: str
) -> None:
    eventually(lambda: any("owns the index" in line for line in server.log))
    owner, owners = owner_of(folder), sum("owns the index" in line for line in server.log)
    os.kill(owner, signal.SIGKILL)
    with client_of(server, key) as client:
        memory_id = add(client, "A note about coffee")
        assert search(client, "coffee")[0] == "A note about coffee"
        eventually(lambda: sum("owns the index" in line for line in server.log) > owners)
        assert owner_of(folder) != owner
        assert client.get(f"/api/memories/{memory_id}").status_code == 200


def test_a_worker_that_cannot_start_does_not_stop_the_other(server: ServerProcess, folder: Path, key: str) -> None:
    eventually(lambda: len(workers_of(server)) == 2 and ready(server) == 2 + ended(server), START_SECONDS)
    before = ready(server)
    (folder / ".env").write_text("SELFMEMORY_NONSENSE=1\n")
    try:
        os.kill(workers_of(server)[0], signal.SIGKILL)
        eventually(
            lambda: any("worker ended, starting another" in line and "in_seconds=1.0" in line for line in server.log),
            START_SECONDS,
        )
        assert "selfmemory: SELFMEMORY_NONSENSE is not a setting; docs/configuration.md lists them all\n" in server.log
        with client_of(server, key) as client:
            add(client, "A note about cocoa")
            assert search(client, "cocoa")[0] == "A note about cocoa"
    finally:
        (folder / ".env").unlink()
    eventually(lambda: ready(server) > before, START_SECONDS)


def test_a_worker_starts_after_the_folder_that_all_share_was_deleted(server: ServerProcess, key: str) -> None:
    """Programs that clean up temporary files do that after some days."""
    before, (worker, _) = ready(server), workers_of(server)
    variables = Path(f"/proc/{worker}/environ").read_bytes().decode().split("\0")
    folder = next(Path(line.partition("=")[2]) for line in variables if line.startswith(METRICS_FOLDER))
    assert folder.parent == IN_MEMORY, "a full disk would kill each worker that writes there"
    shutil.rmtree(folder)
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: ready(server) > before, START_SECONDS)
    with several(server, key) as clients:
        assert [client.get("/metrics").status_code for client in clients] == [200] * CONNECTIONS


def ready(server: ServerProcess) -> int:
    """Return how many workers have started so far."""
    return sum("server.app ready" in line for line in server.log)


def ended(server: ServerProcess) -> int:
    return sum("worker ended" in line for line in server.log)


def test_a_stop_leaves_chroma_closed_and_a_killed_server_no_workers(tmp_path: Path) -> None:
    """The server would rebuild a Chroma that is left open. A worker that hangs does not make the stop longer."""
    key = new_key(tmp_path)
    is_open = tmp_path / "data" / "chroma" / "open"
    with started(tmp_path, WORKERS="2", EXACT_SCAN_LIMIT="2") as server:
        with client_of(server, key) as client:
            for number in range(3):
                add(client, f"Note {number}")
            search(client, "note")
        eventually(is_open.exists)
        os.kill(next(worker for worker in workers_of(server) if worker != owner_of(tmp_path)), signal.SIGSTOP)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < END_SECONDS + 1
        assert not is_open.exists()
        assert not any("Traceback" in line for line in server.log)
    with started(tmp_path, "--workers", "2") as server:
        workers = workers_of(server)
        server.kill()
        eventually(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))


def test_if_no_worker_can_start_the_command_ends_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "data" / "secret_key").mkdir(parents=True)
    ended = run(tmp_path, "serve", "--port", "0", "--workers", "2")
    assert ended.returncode == 1
    assert "cannot write to the data folder" in ended.stderr
    assert ended.stderr.endswith("no worker could start\n")
    assert "Traceback" not in ended.stderr
