"""The server in its own process, with the real model and no network."""

import contextlib
import os
import re
import resource
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.server_process import ServerProcess, run, started
from tests.support.world import eventually

README = Path(__file__).parents[2] / "README.md"
TEXT = "Ann moved to Lisbon for the custard tarts."


def new_key(folder: Path, **settings: str) -> str:
    completed = run(folder, "create-key", "--email", "ann@example.com", **settings)
    assert completed.returncode == 0, completed.stderr
    return completed.stdout.strip()


def client_of(server: ServerProcess, key: str) -> httpx.Client:
    return httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {key}"}, timeout=60)


def add(client: httpx.Client, text: str = TEXT) -> str:
    answer = client.post("/api/memories", json={"messages": [{"role": "user", "content": text}]})
    assert answer.status_code == 200, answer.text
    memory_id: str = answer.json()["memory_id"]
    return memory_id


def search(client: httpx.Client, query: str) -> list[str]:
    answer = client.post("/api/memories/search", json={"query": query})
    assert answer.status_code == 200, answer.text
    return [found["content"] for found in answer.json()["results"]]


@contextlib.contextmanager
def live_stream(server: ServerProcess) -> Iterator[httpx.Response]:
    """Open the stream that tells a page of new memories, and read its first line."""
    with httpx.Client(base_url=server.url) as browser:
        browser.post("/sign-up", data={"email": "ben@example.com", "name": "Ben", "password": "correct horse battery"})
        project = browser.get("/dashboard").headers["location"]
        with browser.stream("GET", f"{project}/live?after=mem_{'0' * 32}") as stream:
            assert stream.status_code == 200
            yield stream


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with started(tmp_path_factory.mktemp("live")) as server:
        yield server


@pytest.fixture(scope="module")
def folder(server: ServerProcess) -> Path:
    return server.attempts.parent


@pytest.fixture(scope="module")
def key(server: ServerProcess, folder: Path) -> str:
    """An API key that is created while the server runs."""
    return new_key(folder)


def test_a_key_created_while_the_server_runs_works_at_once(server: ServerProcess, key: str) -> None:
    with client_of(server, key) as client:
        add(client)
        assert search(client, "Where does Ann live?") == [TEXT]


@pytest.mark.needs("::1")
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_both_addresses_of_localhost_reach_the_server(server: ServerProcess, address: str) -> None:
    with socket.create_connection((address, httpx.URL(server.url).port)) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.needs("::1")
def test_another_program_at_localhost_is_named(tmp_path: Path) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        with started(tmp_path, "--port", str(port)) as server:
            assert f"another program uses [::1]:{port}: stop it" in "".join(server.log)


def test_what_is_no_http_request_is_refused_in_json(server: ServerProcess) -> None:
    refused = httpx.request("BREW", f"{server.url}/api/memories")
    assert refused.status_code == 400
    assert refused.json()["detail"].startswith("This is not a valid HTTP request: ")
    assert refused.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_answer_comes_in_one_piece(server: ServerProcess, method: str) -> None:
    """A client that reads once gets the head and the body; the answer to HEAD has no body, and comes too."""
    url = httpx.URL(server.url)
    with socket.create_connection((url.host, url.port), timeout=10) as connection:
        for _ in range(5):
            connection.sendall(f"{method} /health/live HTTP/1.1\r\nHost: {url.host}\r\n\r\n".encode())
            head, _, body = connection.recv(65_536).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"\r\ncontent-length: 18" in head
            assert body == (b'{"status":"alive"}' if method == "GET" else b"")


def test_a_client_that_goes_away_from_queued_requests_is_no_crash(server: ServerProcess) -> None:
    request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    url = httpx.URL(server.url)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
        connection.connect((url.host, url.port))
        connection.sendall(request * 20)
        for _ in range(10):  # until the server waits for this client
            httpx.get(f"{server.url}/health/live").raise_for_status()
    for _ in range(10):
        httpx.get(f"{server.url}/health/live").raise_for_status()
    assert not [line for line in server.log if "Traceback" in line]


def test_the_server_connects_to_no_other_machine(server: ServerProcess, key: str) -> None:
    with client_of(server, key) as client:
        add(client)
        assert client.get("/docs").status_code == client.get("/health").status_code == 200
    assert not server.attempts.exists()


def test_no_file_is_written_outside_the_data_directory(server: ServerProcess, folder: Path, key: str) -> None:
    """Some libraries keep usage counters in the home directory."""
    with client_of(server, key) as client:
        add(client)
    assert [path for path in (folder / "home").rglob("*") if path.is_file()] == []


def test_the_log_holds_no_memory_and_no_secret(server: ServerProcess, key: str) -> None:
    with client_of(server, key) as client:
        add(client)
        search(client, "custard")
    assert any("route=/api/memories " in line for line in server.log)
    log = "".join(server.log)
    assert "custard" not in log
    assert "ann@example.com" not in log
    assert key not in log


@pytest.mark.needs("curl")
def test_the_search_of_the_readme_works_when_pasted(server: ServerProcess, key: str) -> None:
    blocks = re.findall(r"```sh\n(curl .+?)```", README.read_text("utf-8"), re.DOTALL)
    pasted = "".join(blocks).replace("http://localhost:8081", server.url)
    ran = subprocess.run(
        ["sh", "-ec", pasted], env={**os.environ, "KEY": key}, capture_output=True, text=True, check=True
    )
    assert '"content":"Anna prefers the window seat."' in ran.stdout


def test_the_start_ends_with_what_to_open(server: ServerProcess) -> None:
    port = server.url.rpartition(":")[2]
    eventually(lambda: any(line.endswith(f" open http://localhost:{port} in a browser\n") for line in server.log))


def test_a_second_server_on_the_same_data_refuses_to_start(server: ServerProcess, folder: Path) -> None:
    second = run(folder, "--port", "0")
    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr.startswith("selfmemory: another server uses this SELFMEMORY_DATA_DIR")
    assert second.stderr.count("\n") == 1


def test_a_server_refuses_to_start_on_a_used_address(server: ServerProcess, tmp_path: Path) -> None:
    second = run(tmp_path, "--port", server.url.rpartition(":")[2])
    assert second.returncode == 1
    assert "cannot listen on" in second.stderr
    assert second.stderr.count("\n") == 1


def test_commands_work_while_the_server_runs(server: ServerProcess, folder: Path, key: str) -> None:
    with client_of(server, key) as client:
        add(client)
        reindexed = run(folder, "reindex")
        examined = run(folder, "doctor", PORT=server.url.rpartition(":")[2])
        assert reindexed.returncode == 0, reindexed.stderr
        assert examined.returncode == 0, examined.stdout
        assert f"http://localhost:{server.url.rpartition(':')[2]} answers" in examined.stdout
        assert TEXT in search(client, "Where does Ann live?")


@pytest.mark.needs("prlimit")
def test_on_a_full_disk_reads_work_and_writes_are_refused(server: ServerProcess, folder: Path) -> None:
    key = new_key(folder)  # its first use writes a row
    limits = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    with client_of(server, key) as client:
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (0, limits[1]))
        try:
            read = client.get("/api/memories")
            refused = client.post("/api/memories", json={"messages": [{"role": "user", "content": TEXT}]})
        finally:
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, limits)
        assert (read.status_code, refused.status_code, refused.headers["Retry-After"]) == (200, 503, "1")
        assert client.get("/api/memories").json()["total"] == read.json()["total"]
        add(client)


def test_an_acknowledged_memory_survives_a_kill(tmp_path: Path) -> None:
    key = new_key(tmp_path)
    with started(tmp_path) as server, client_of(server, key) as client:
        memory_id = add(client)
        server.kill()
    with started(tmp_path) as server, client_of(server, key) as client:
        assert client.get(f"/api/memories/{memory_id}").json()["content"] == TEXT
        assert search(client, "Where does Ann live?") == [TEXT]
        with live_stream(server) as stream:
            began = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - began < 3
            stream.read()
        assert not any("Traceback" in line for line in server.log)
