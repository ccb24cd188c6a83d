"""Health for everyone, and what the metrics count."""

import asyncio
import errno
import threading
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import SecretStr
from starlette.types import ASGIApp

from server.app import create_app
from server.hashing import new_api_key
from server.index.model.failures import ModelFailed
from server.index.upkeep.owner_lock import FileLock
from server.settings import INDEX_LOCK_FILE, Settings, read_settings
from tests.conftest import ORIGIN, Tenant
from tests.support.fakes import WordEmbedder
from tests.support.mail import mail_server
from tests.support.postgres import Databases
from tests.support.started import running

PARTS = {"database", "vector_index", "embedding", "memory", "disk"}


def asking(app: ASGIApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url=ORIGIN)


class BrokenEmbedder(WordEmbedder):
    """A model that fails from the second call on."""

    def embed(self, texts: object, /, *, is_question: bool = False) -> NDArray[np.float32]:
        raise ModelFailed


@pytest.fixture
async def broken_app(settings: Settings) -> AsyncIterator[ASGIApp]:
    async with running(create_app(settings, lambda _settings: BrokenEmbedder())) as app:
        yield app


async def test_a_healthy_server_reports_each_part(client: httpx.AsyncClient) -> None:
    answer = await client.get("/health")
    body = answer.json()
    assert answer.status_code == 200
    assert body["status"] == "healthy", body
    assert set(body["checks"]) == PARTS
    assert {check["status"] for check in body["checks"].values()} == {"healthy"}
    assert all(check["latency_ms"] >= 0 for check in body["checks"].values())
    assert datetime.fromisoformat(body["timestamp"]).tzinfo is not None


@pytest.mark.parametrize("part", sorted({*PARTS, "smtp"}))
def test_the_document_says_what_to_do_about_each_part(part: str) -> None:
    document = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
    assert f"`{part}` is degraded" in document.read_text("utf-8")


async def test_r26_health_names_no_host_path_or_version(client: httpx.AsyncClient, settings: Settings) -> None:
    text = (await client.get("/health")).text
    assert str(settings.data_dir) not in text
    assert "sqlite" not in text
    assert "postgres" not in text
    assert "127.0.0.1" not in text


@pytest.mark.needs("postgres")
async def test_without_a_database_it_is_unhealthy_but_alive_and_sends_retry_after(
    postgres: Databases, tmp_path: Path
) -> None:
    url = postgres.make()
    settings = read_settings(env_file=None, data_dir=tmp_path, database_url=url, public_url=ORIGIN)
    async with running(create_app(settings, lambda _settings: WordEmbedder())) as app, asking(app) as client:
        postgres.drop(url)
        answer, ready, live = [await client.get(path) for path in ("/health", "/health/ready", "/health/live")]
        asked = await client.get("/api/memories", headers={"Authorization": f"Bearer {new_api_key()}"})
    assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
    assert answer.json()["checks"]["database"]["status"] == "unhealthy"
    assert (ready.status_code, live.status_code) == (503, 200)
    assert (asked.status_code, asked.headers["Retry-After"]) == (503, "1")
    assert "postgres" not in answer.text + asked.text


async def test_while_the_data_folder_is_away_nothing_is_stored_and_health_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.shell.health.KEEP_SECONDS", 0.0)
    folder = tmp_path / "data"
    here = read_settings(env_file=None, data_dir=folder, public_url=ORIGIN)
    async with running(create_app(here, lambda _settings: WordEmbedder())) as app, asking(app) as client:
        away = folder.rename(tmp_path / "away")
        answer = await client.get("/health")
        checks = answer.json()["checks"]
        assert (answer.status_code, checks["database"]["status"], checks["disk"]["status"]) == (503, *["unhealthy"] * 2)
        assert checks["memory"]["status"] == "healthy"
        sent = {"client_name": "An editor", "redirect_uris": ["http://127.0.0.1/callback"]}
        assert (await client.post("/oauth/register", json=sent)).status_code == 503
        away.rename(folder)
        assert (await client.get("/health")).json()["status"] == "healthy"


async def test_a_data_folder_that_cannot_be_written_is_a_problem_of_the_disk(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.shell.health.KEEP_SECONDS", 0.0)

    def read_only(_path: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as fault:
        fault.setattr("server.shell.health.os.utime", read_only)
        answer = await client.get("/health")
        disk = answer.json()["checks"]["disk"]
        assert (answer.status_code, answer.json()["status"], disk["status"]) == (200, "degraded", "unhealthy")
        assert disk["problem"] == "The data folder cannot be written: check its disk, and who owns it."
    assert (await client.get("/health")).json()["status"] == "healthy"


async def test_a_data_folder_that_is_away_does_not_come_back_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.index.upkeep.worker.POLL_SECONDS", 0.01)
    folder = tmp_path / "data"
    folder.mkdir()
    lock = FileLock(folder / INDEX_LOCK_FILE)
    assert lock.acquire()  # another process owns the index, so this one tries again and again
    here = read_settings(env_file=None, data_dir=folder, public_url=ORIGIN)
    async with running(create_app(here, lambda _settings: WordEmbedder())):
        away = folder.rename(tmp_path / "away")
        await asyncio.sleep(0.2)
        assert not folder.exists()
        away.rename(folder)
    lock.release()


async def test_without_threads_it_is_unhealthy(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr("server.shell.health.KEEP_SECONDS", 0.0)
        patched.setattr(threading.Thread, "start", refuse)
        assert (await client.get("/health")).status_code == 503
    await asyncio.sleep(0)
    assert (await client.get("/health")).json()["status"] == "healthy"


async def test_a_failing_model_makes_it_unhealthy_and_not_ready(broken_app: ASGIApp) -> None:
    async with asking(broken_app) as client:
        answer, ready, live = [await client.get(path) for path in ("/health", "/health/ready", "/health/live")]
    assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
    assert answer.json()["checks"]["embedding"]["status"] == "unhealthy"
    assert answer.json()["checks"]["database"]["status"] == "healthy"
    assert (ready.status_code, ready.json()) == (503, {"status": "not ready"})
    assert live.status_code == 200


async def test_it_stays_ready_without_the_chroma_server(settings: Settings) -> None:
    away = settings.model_copy(update={"chroma_url": "http://127.0.0.1:9"})
    async with running(create_app(away, lambda _settings: WordEmbedder())) as app, asking(app) as client:
        answer, ready = await client.get("/health"), await client.get("/health/ready")
    assert (answer.status_code, ready.status_code) == (200, 200)
    assert answer.json()["checks"]["embedding"]["status"] == "healthy"


async def test_it_is_ready_when_it_can_answer(client: httpx.AsyncClient) -> None:
    answer = await client.get("/health/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


async def test_metrics_count_requests_by_route_and_stored_memories(client: httpx.AsyncClient, alice: Tenant) -> None:
    body = {"messages": [{"role": "user", "content": "I like tea."}]}
    added = await client.post("/api/memories", json=body, headers=alice.auth)
    await client.get(f"/api/memories/{added.json()['memory_id']}", headers=alice.auth)
    text = (await client.get("/metrics")).text
    assert 'selfmemory_requests_total{method="POST",route="/api/memories",status="200"} 1.0' in text
    assert 'selfmemory_requests_total{method="GET",route="/api/memories/{memory_id}",status="200"} 1.0' in text
    assert 'selfmemory_request_seconds_count{route="/api/memories"} 1.0' in text
    assert 'selfmemory_operations_total{operation="memories.add"} 1.0' in text
    assert "selfmemory_memories 1.0" in text
    assert "selfmemory_index_pending " in text
    assert "process_resident_memory_bytes " in text
    assert added.json()["memory_id"] not in text


async def test_an_unknown_path_makes_no_series_of_its_own(client: httpx.AsyncClient) -> None:
    await client.get("/no/such/place")
    text = (await client.get("/metrics")).text
    assert "/no/such/place" not in text
    assert 'route="-",status="404"' in text


class CountingEmbedder(WordEmbedder):
    """Counts the texts that it embeds."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def embed(self, texts: Sequence[str], /, *, is_question: bool = False) -> NDArray[np.float32]:
        self.texts += texts
        return super().embed(texts, is_question=is_question)


async def test_many_who_ask_for_health_share_one_check(settings: Settings) -> None:
    embedder = CountingEmbedder()
    async with running(create_app(settings, lambda _settings: embedder)) as app, asking(app) as client:
        before = threading.active_count()
        answers = await asyncio.gather(*(client.get(path) for path in ["/health", "/health/ready"] * 100))
        after = threading.active_count()
    assert {answer.status_code for answer in answers} == {200}
    assert len(embedder.texts) == 1
    assert after - before < 8


@pytest.mark.sqlite_only
async def test_each_check_embeds_a_new_text(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.shell.health.KEEP_SECONDS", 0.0)
    embedder = CountingEmbedder()
    async with running(create_app(settings, lambda _settings: embedder)) as app, asking(app) as client:
        for _ in range(3):
            await client.get("/health")
    assert len(set(embedder.texts)) == 3


async def test_a_part_that_hangs_keeps_one_thread(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.shell.health.KEEP_SECONDS", 0.0)
    monkeypatch.setattr("server.shell.health.CHECK_TIMEOUT_SECONDS", 0.05)
    released = threading.Event()
    hanging: list[str] = []

    class HangingEmbedder(WordEmbedder):
        def embed(self, texts: Sequence[str], /, *, is_question: bool = False) -> NDArray[np.float32]:
            hanging.append(threading.current_thread().name)
            released.wait(30)
            return super().embed(texts, is_question=is_question)

    async with running(create_app(settings, lambda _settings: HangingEmbedder())) as app, asking(app) as client:
        statuses = [(await client.get("/health")).status_code for _ in range(20)]
        released.set()
    assert statuses == [503] * 20
    assert len(hanging) == 1


@pytest.mark.sqlite_only
@pytest.mark.filterwarnings("ignore:Requiring AUTH")
async def test_health_asks_the_mail_server_once_a_minute_without_signing_in(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server would refuse this password: a check that signs in would report a problem."""
    monkeypatch.setattr("server.shell.health.KEEP_SECONDS", 0.0)
    with mail_server(needs_sign_in=True) as (url, mailbox):
        wrong = settings.model_copy(update={"smtp_url": SecretStr(url.replace("p%40ss", "wrong"))})
        async with running(create_app(wrong, lambda _settings: WordEmbedder())) as app, asking(app) as client:
            bodies = [(await client.get("/health")).json() for _ in range(10)]
    assert {body["checks"]["smtp"]["status"] for body in bodies} == {"healthy"}
    assert mailbox.connections == 1
