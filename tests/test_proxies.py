"""The variables of proxies and certificates that other programs need never stop a command, and are named if ignored."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

SOURCES = Path(__file__).parents[1]
NOWHERE = "http://127.0.0.1:1"


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("X-Request-ID", "req_0")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_parts: object) -> None:
        """Print nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a server on this machine that answers as ours does."""
    server = ThreadingHTTPServer(("localhost", 0), Answering)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def without_proxies() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def doctor(data_dir: Path, port: int, **variables: str) -> str:
    ours = {"SELFMEMORY_DATA_DIR": str(data_dir), "SELFMEMORY_PUBLIC_URL": f"http://localhost:{port}"}
    command = [sys.executable, "-m", "server", "doctor"]
    ran = subprocess.run(command, env=without_proxies() | ours | variables, cwd=SOURCES, capture_output=True, text=True)
    assert "Traceback" not in ran.stderr
    return ran.stdout + ran.stderr


UNUSABLE = (
    {
        "ALL_PROXY": "socks5://127.0.0.1:1080",
        "HTTPS_PROXY": "http://[::1",
        "HTTP_PROXY": "http://127.0.0.1:99999",
        "SSL_CERT_FILE": "/nowhere/certificates.pem",
        "SSLKEYLOGFILE": "/nowhere/keys.log",
    },
    {"all_proxy": "socks5h://me:secret@127.0.0.1:1080", "SSL_CERT_FILE": "/etc/passwd"},
)


@pytest.mark.parametrize("variables", UNUSABLE, ids=len)
def test_an_unusable_variable_is_ignored_and_named(tmp_path: Path, port: int, variables: dict[str, str]) -> None:
    said = doctor(tmp_path, port, **variables)
    assert f"http://localhost:{port} answers" in said
    assert [name for name in variables if f"{name} is ignored: " not in said] == []
    assert said.count(" is ignored: ") == len(variables)
    assert "secret" not in said


@pytest.mark.parametrize("bypass", ["", "10.0.0.0/8,fe80::/10,[::1], .corp.example,::1,*.corp.example:8080,a b"])
def test_no_request_to_this_machine_goes_through_a_proxy(tmp_path: Path, port: int, bypass: str) -> None:
    said = doctor(tmp_path, port, HTTP_PROXY=NOWHERE, ALL_PROXY=NOWHERE, NO_PROXY=bypass)
    assert f"http://localhost:{port} answers" in said
    assert "is ignored" not in said


@pytest.mark.parametrize("written", ["{}", '"{}"', " '{}'\r"])
def test_the_health_check_of_the_image_uses_no_proxy_and_reads_the_port_as_the_server_does(
    port: int, written: str
) -> None:
    """`docker --env-file` keeps quotation marks, and the end of a Windows line."""
    check = (SOURCES / "Dockerfile").read_text("utf-8").partition("HEALTHCHECK ")[2].partition("CMD")[2]
    _, *arguments = json.loads(check.partition("\nENTRYPOINT")[0].replace("\\\n", ""))
    variables = {"HTTP_PROXY": NOWHERE, "NO_PROXY": "", "SELFMEMORY_PORT": written.format(port)}
    subprocess.run([sys.executable, *arguments], env=without_proxies() | variables, check=True)
