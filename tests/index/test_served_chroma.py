"""Searches work while a Chroma server is down or hangs, and the health check reports it."""

import json
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr

from server.index.chroma import client, collections
from server.index.chroma.address import address_of
from server.index.chroma.failures import ChromaFailed
from server.index.model.embeddings import Embedder
from server.index.upkeep import worker
from server.models import ProjectIndex
from server.models.base import now
from server.settings import Settings
from server.storage.database import Database
from tests.support.hosts import make_certificate
from tests.support.world import World, eventually, opened

pytestmark = pytest.mark.sqlite_only


class FakeChroma(ThreadingHTTPServer):
    """Answers the first requests of Chroma's client. Then it has no collections, or does not answer if it `hangs`."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int = 0, certificate: Path | None = None) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.hangs = False
        self.hangs_at = ""
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked = threading.Event()
        self.tokens: set[tuple[str | None, str | None]] = set()
        self.paths: list[str] = []
        self.ends = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.ends.set()
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: FakeChroma

    def do_GET(self) -> None:
        self.server.tokens.add((self.headers["Authorization"], self.headers["X-Chroma-Token"]))
        self.server.paths.append(self.path)
        for part, (status, body) in self.server.answers.items():
            if part in self.path:
                self._send(status, body)
                return
        if self.server.hangs_at and self.server.hangs_at in self.path:
            self.server.ends.wait()
            return
        if "/collections" in self.path:
            self.server.asked.set()
            if self.server.hangs:
                self.server.ends.wait()
                return
        answer: object = {"id": str(UUID(int=0)), "name": "one", "tenant": "one"}
        if self.path.endswith("/identity"):
            answer = {"user_id": "", "tenant": "one", "databases": ["one"]}
        elif self.path.partition("?")[0].endswith("/collections"):
            answer = []
        self._send(200, json.dumps(answer).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeChroma]:
    monkeypatch.setattr(client, "REQUEST_TIMEOUT_SECONDS", 1.0)
    monkeypatch.setattr(collections, "COOLDOWN_SECONDS", 0.0)
    monkeypatch.setattr(worker, "RETRY_SECONDS", 0.1)
    served = FakeChroma()
    yield served
    served.stop()


@pytest.fixture
def settings(settings: Settings, served: FakeChroma) -> Settings:
    url = f"http://127.0.0.1:{served.server_port}"
    return settings.model_copy(update={"exact_scan_limit": 0, "chroma_url": url})


def pretend_ready(database: Database, world: World) -> None:
    """Write a row that says that the project has a collection."""
    row = ProjectIndex(
        project_id=world.project_id,
        collection="memories-1",
        embedding_model="words/test",
        mean=b"\0" * 4 * 64,
        ready_at=now(),
    )
    with database.write() as session:
        session.merge(row)


def test_health_is_degraded_only_while_the_server_is_down(
    settings: Settings, served: FakeChroma, embedder: Embedder
) -> None:
    served.stop()
    with opened(settings.model_copy(update={"exact_scan_limit": 5000}), embedder) as world:
        world.add("canoe trip")
        eventually(lambda: world.index.health().degraded is not None)
        assert world.index.health().embedding_ok
        assert world.texts("canoe") == ["canoe trip"]
        back = FakeChroma(served.server_port)
        eventually(lambda: world.index.health().degraded is None)
        back.stop()


def test_a_search_does_not_wait_for_a_server_that_hangs(
    settings: Settings, served: FakeChroma, embedder: Embedder
) -> None:
    with opened(settings, embedder) as world:
        world.add("canoe trip")
        pretend_ready(world.database, world)
        served.hangs = True
        found: list[str] = []
        search = threading.Thread(target=lambda: found.extend(world.texts("canoe")))
        search.start()
        search.join(10)
        assert found == ["canoe trip"]
        assert served.asked.is_set()


def test_a_search_does_not_wait_for_a_server_that_hangs_when_it_is_opened(
    settings: Settings, embedder: Embedder, served: FakeChroma
) -> None:
    """Chroma's client sends its first requests without a time limit."""
    served.hangs_at = "/identity"
    with opened(settings, embedder) as world:
        world.add("a red canoe")
        pretend_ready(world.database, world)
        began = time.monotonic()
        assert world.texts("canoe") == ["a red canoe"]
        assert time.monotonic() - began < 8


@pytest.mark.parametrize(
    ("part", "answer", "why"),
    [
        ("/collections", (502, b"<html>Bad Gateway</html>"), "UnexpectedAnswer"),
        ("/collections", (200, b"<html>Welcome</html>"), "JSONDecodeError"),
        ("/collections", (429, b'{"error": "RateLimitError", "message": "slow down"}'), "RateLimitError"),
        ("/identity", (401, b"{}"), "Unauthorized"),
        ("/identity", (502, b"<html>Bad Gateway</html>"), "HTTP 502"),
    ],
)
def test_an_answer_that_is_not_chromas_is_a_failure_and_no_damage(
    settings: Settings, embedder: Embedder, served: FakeChroma, part: str, answer: tuple[int, bytes], why: str
) -> None:
    served.answers[part] = answer
    with opened(settings, embedder) as world:
        world.add("canoe trip")
        pretend_ready(world.database, world)
        said = f"Chroma failed ({why}); searches scan SQL instead"
        # While the worker is connecting to Chroma, a search does not wait for it.
        eventually(lambda: world.texts("canoe") == ["canoe trip"] and world.index.health().degraded == said)
        assert world.index._collections.damaged == set()
        assert world.index._worker.is_alive()


def test_after_a_failure_one_search_tries_and_the_others_scan(
    settings: Settings, embedder: Embedder, served: FakeChroma, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(settings, embedder) as world:
        found = world.index._collections
        found._pause("project", ChromaFailed("Down"))
        assert [found._may_try() for _ in range(3)] == [True, True, True], "the cooldown of these tests is 0"
        monkeypatch.setattr(collections, "COOLDOWN_SECONDS", 60.0)
        found._paused_until = 0.0
        assert [found._may_try() for _ in range(3)] == [True, False, False]


def test_every_request_carries_the_token_and_names_tenant_and_database(settings: Settings, served: FakeChroma) -> None:
    chosen = {"chroma_token": SecretStr("ck-secret"), "chroma_tenant": "team", "chroma_database": "memories"}
    client.open_served(settings.model_copy(update=chosen), "now-", "earlier-").list_names()
    assert served.tokens == {("Bearer ck-secret", "ck-secret")}
    assert any("/tenants/team/databases/memories/collections" in path for path in served.paths)


@pytest.mark.parametrize(("token", "sent"), [("", None), ("ck-secret", "ck-secret")])
def test_every_request_signs_in_with_the_name_and_password_of_the_url(
    settings: Settings, served: FakeChroma, token: str, sent: str | None
) -> None:
    url = settings.chroma_url.replace("http://", "http://ann:p%40ss@")
    client.open_served(settings.model_copy(update={"chroma_url": url, "chroma_token": SecretStr(token)}), "a-", "b-")
    assert served.tokens == {("Basic YW5uOnBAc3M=", sent)}


@pytest.mark.parametrize(
    ("written", "prefix"), [("/", ""), ("/chroma/", "/chroma"), ("/api/v2", ""), ("/x/api/v1", "/x")]
)
def test_every_request_keeps_the_path_of_the_url(
    settings: Settings, served: FakeChroma, written: str, prefix: str
) -> None:
    at = settings.model_copy(update={"chroma_url": settings.chroma_url + written})
    client.open_served(at, "a-", "b-").list_names()
    assert all(path.startswith(f"{prefix}/api/v2/") for path in served.paths)
    assert len(served.paths) > 2


@pytest.mark.parametrize(
    ("url", "base"), [("http://chroma", "http://chroma:8000"), ("https://[::2]", "https://[::2]:443")]
)
def test_a_url_without_a_port_means_the_usual_one(settings: Settings, url: str, base: str) -> None:
    assert address_of(settings.model_copy(update={"chroma_url": url})).base == base


def test_collections_keep_their_names_when_the_address_changes(settings: Settings, embedder: Embedder) -> None:
    """A new password of the database is a new address."""
    with opened(settings, embedder) as world:
        before = world.index._collections._installation_id()
    moved = settings.model_copy(update={"public_url": "https://elsewhere.example"})
    with opened(moved, embedder) as world:
        assert world.index._collections._installation_id() == before


def test_a_certificate_counts_if_its_authority_is_known(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, certificate = make_certificate(tmp_path)
    served = FakeChroma(certificate=certificate)
    at = settings.model_copy(update={"chroma_url": f"https://localhost:{served.server_port}"})
    with pytest.raises(ChromaFailed, match="CertificateRefused"):
        client.open_served(at, "now-", "earlier-")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    assert client.open_served(at, "now-", "earlier-").list_names() == set()
    served.stop()
