"""The metrics show waiting work, the owner of the index and missing parts, even while a part is missing."""

import asyncio
import os
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import httpx
import numpy as np
import pytest
from pydantic import SecretStr

from server.app import create_app
from server.index.model.batching import BatchingEmbedder
from server.index.model.prompts import NO_PROMPTS
from server.index.types import Vectors
from server.metrics import Metrics
from server.settings import Settings, read_settings
from tests.conftest import ORIGIN, Tenant
from tests.support.fakes import WordEmbedder
from tests.support.postgres import Databases
from tests.support.started import running


async def metrics(client: httpx.AsyncClient) -> dict[str, float]:
    """Return each sample's value by its name with labels, without the prefix."""
    answer = await client.get("/metrics")
    assert answer.status_code == 200, answer.text
    return {name: float(value) for name, value in re.findall(r"^selfmemory_(\S+) (\S+)$", answer.text, re.MULTILINE)}


def asking(app: object) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN)  # type: ignore[arg-type]


def body(text: str) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}]}


async def test_a_quiet_server_has_nothing_waiting_and_owns_the_index(client: httpx.AsyncClient) -> None:
    shown = await wait_until_quiet(client)
    assert shown['pool_slots{pool="reads"}'] > 0
    assert shown['model_available{model="all-MiniLM-L6-v2"}'] == 1
    assert shown['healthy{part="database"}'] == shown['healthy{part="embedding"}'] == 1


async def wait_until_quiet(client: httpx.AsyncClient) -> dict[str, float]:
    """Return the metrics when the work of the start is over: nothing waits, and the server owns the whole index."""
    at_work = re.compile(r"_waiting|_used|_work_whole")
    async with asyncio.timeout(20):
        while True:
            shown = await metrics(client)
            busy = any(value for name, value in shown.items() if at_work.search(name))
            if not busy and shown["index_owner"] == 1:
                return shown


def waiting_for_model(shown: dict[str, float]) -> tuple[float, float]:
    return shown['model_waiting{kind="texts"}'], shown['model_waiting{kind="questions"}']


class HangingModel:
    """A model with one thread, which embeds nothing before it is `released`."""

    name = "hanging"
    dimensions = 4
    mean = np.zeros(4, np.float32)
    threads = 1
    batch_size = 1
    prompts = NO_PROMPTS

    def __init__(self) -> None:
        self.released = threading.Event()

    def encode(self, texts: Sequence[str], /) -> Vectors:
        self.released.wait(30)
        return WordEmbedder().embed(texts)[:, :4] + 1

    def can_read(self, _text: str, /) -> bool:
        return True

    def close(self) -> None:
        pass


async def test_what_waits_for_the_model_and_for_a_slot_is_shown(
    settings: Settings, alice: Tenant, bob: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.shell.health.CHECK_TIMEOUT_SECONDS", 0.05)
    model = HangingModel()
    async with running(create_app(settings, lambda _settings: BatchingEmbedder(model))) as app, asking(app) as client:
        await metrics(client)  # its question keeps the model busy, so that no addition embeds on its own thread
        adding = [
            asyncio.create_task(
                client.post("/api/memories", json=body(f"{number} of {tenant.email}"), headers=tenant.auth)
            )
            for number in range(3)
            for tenant in (alice, bob)
        ]
        asked = client.post("/api/memories/search", json={"query": "a question"}, headers=alice.auth)
        searching = asyncio.create_task(asked)
        try:
            shown: dict[str, float] = {}
            async with asyncio.timeout(20):
                while shown.get('pool_waiting{pool="texts"}') != 2 or waiting_for_model(shown) < (3, 1):
                    shown = await metrics(client)
            assert shown['pool_slots_used{pool="texts"}'] == 4, "each caller has a share of two"
        finally:
            model.released.set()
        answers = await asyncio.gather(*adding, searching)
    assert {answer.status_code for answer in answers} == {200}


async def test_one_of_two_servers_owns_the_index(settings: Settings, client: httpx.AsyncClient) -> None:
    await wait_until_quiet(client)
    async with running(create_app(settings, lambda _settings: WordEmbedder())) as second, asking(second) as other:
        assert (await metrics(other))["index_owner"] == 0


@pytest.mark.sqlite_only
async def test_letters_that_cannot_be_sent_are_shown(settings: Settings) -> None:
    without_server = settings.model_copy(update={"smtp_url": SecretStr("smtp://127.0.0.1:9")})
    async with (
        running(create_app(without_server, lambda _settings: WordEmbedder())) as app,
        asking(app) as client,
    ):
        form = {"email": "ann@example.com", "name": "Ann", "password": "a long password that nobody uses"}
        answer = await client.post("/sign-up", data=form, headers={"Origin": ORIGIN})
        assert answer.status_code in (200, 303)
        shown = await metrics(client)
    assert shown["mails_waiting"] == 1
    assert shown['healthy{part="smtp"}'] == 0.5


async def test_activity_that_waits_and_that_was_dropped_is_shown(
    settings: Settings, alice: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.shell.activity_log.INTERVAL_SECONDS", 3600.0)
    monkeypatch.setattr("server.shell.activity_log.MOST_WAITING", 1)
    async with running(create_app(settings, lambda _settings: WordEmbedder())) as app, asking(app) as client:
        for text in ("one", "two", "three"):
            await client.post("/api/memories", json=body(text), headers=alice.auth)
        shown = await metrics(client)
    assert (shown["activity_waiting"], shown["activity_dropped_total"]) == (1, 2)


@pytest.mark.sqlite_only
async def test_a_model_that_is_not_there_is_shown(settings: Settings) -> None:
    class Missing(WordEmbedder):
        name = ""

    async with running(create_app(settings, lambda _settings: Missing())) as app, asking(app) as client:
        assert (await metrics(client))['model_available{model="all-MiniLM-L6-v2"}'] == 0


@pytest.mark.needs("postgres")
async def test_without_a_database_the_rest_is_still_shown(postgres: Databases, tmp_path: Path) -> None:
    url = postgres.make()
    settings = read_settings(env_file=None, data_dir=tmp_path, database_url=url, public_url=ORIGIN)
    async with running(create_app(settings, lambda _settings: WordEmbedder())) as app, asking(app) as client:
        postgres.drop(url)
        shown = await metrics(client)
    assert shown['healthy{part="database"}'] == 0
    assert 'pool_slots_used{pool="reads"}' in shown
    assert "memories" not in shown


async def test_the_backlog_of_the_index_and_its_age_are_shown(settings: Settings, client: httpx.AsyncClient) -> None:
    shown = await metrics(client)
    assert {"index_pending", "index_pending_seconds"} <= shown.keys()


WORKER = """
from server.metrics import Metrics
metrics = Metrics({folder!r})
metrics.show("index_owner", {owner})
metrics.show("activity_waiting", 2)
metrics.count_operation("memories.add")
print(metrics.render({{}}, {{}}).decode())
"""


def test_workers_report_for_each_other_until_they_end(tmp_path: Path) -> None:
    """The first of these workers has ended when the second one is asked."""
    texts = [
        subprocess.run(
            [sys.executable, "-c", WORKER.format(folder=str(tmp_path), owner=owner)],
            env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for owner in (1, 0)
    ]
    assert ["selfmemory_index_owner 1.0" in text for text in texts] == [True, False]
    assert ["selfmemory_activity_waiting 2.0" in text for text in texts] == [True, True]
    assert ['operation="memories.add"} 2.0' in text for text in texts] == [False, True]


def test_another_user_may_have_the_process_id_of_an_ended_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gauge = tmp_path / "gauge_livesum_1.db"
    gauge.touch()

    def refuse(_process_id: int, _signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    Metrics(str(tmp_path)).render({}, {})
    assert not gauge.exists()
