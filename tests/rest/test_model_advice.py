"""The server tells which model made how many vectors, and whether it reads what is stored."""

import threading
from collections.abc import Sequence
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest

from server.index.model.languages import is_english, reads_only_english
from server.index.upkeep import survey, worker
from tests.conftest import Tenant

ENGLISH = [
    "Anna prefers the window seat on long flights.",
    "The lease of the flat ends in October.",
    "Deploy on Fridays only after the smoke tests pass",
    "Postgres 15 in production, SQLite on laptops",
    "My brother plays the drums in a band called Música Nova.",
    "Rotate the API keys every 90 days",
    "Grandma's birthday is on 3 May; buy flowers.",
    "Use `uv run pytest -x` before each commit",
]
OTHERS = {
    "pt": ["A minha irmã mora no Porto.", "O prazo do projeto foi adiado para novembro.", "Prefiro café sem açúcar."],
    "de": ["Der Termin beim Zahnarzt ist am Dienstag.", "Das Passwort liegt im Tresor.", "Er ist nicht in Köln."],
    "tr": ["Ayşe domatesi hiç sevmez.", "Toplantı salı günü saat onda.", "Kahveyi şekersiz içerim ben."],
    "id": ["Adik saya tinggal di Jakarta.", "Kami memakai Postgres di produksi.", "Anna tidak suka tomat."],
    "ru": ["Сестра живёт в Москве.", "Проект перенесли на ноябрь.", "Я пью кофе без сахара."],
    "ja": ["妹は東京に住んでいます。", "本番環境はPostgreSQLです。", "締め切りは11月末。"],
    "ar": ["تعيش أختي في القاهرة.", "تأجل المشروع إلى نوفمبر.", "أشرب القهوة بدون سكر."],
}


def test_it_is_known_which_texts_are_english() -> None:
    assert [text for text in ENGLISH if is_english(text) is False] == []
    assert {name: [is_english(text) for text in texts] for name, texts in OTHERS.items()} == {
        name: [False] * 3 for name in OTHERS
    }
    assert is_english("OK, 42!") is None


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("all-MiniLM-L6-v2", True),
        ("sentence-transformers/all-mpnet-base-v2", True),
        ("intfloat/e5-small-v2", True),
        ("nomic-embed-text:latest", True),
        ("multilingual-e5-small", False),
        ("paraphrase-multilingual-MiniLM-L12-v2", False),
        ("BAAI/bge-m3", False),
        ("/models/ours", False),
    ],
)
def test_it_is_known_which_models_read_english_only(model: str, expected: bool) -> None:
    assert reads_only_english(model) is expected


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "EVERY_SECONDS", 0.02)
    monkeypatch.setattr(survey, "REST_FACTOR", 1)
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.05)
    monkeypatch.setattr("server.health.KEEP_SECONDS", 0.0)


async def add(client: httpx.AsyncClient, tenant: Tenant, texts: Sequence[str]) -> None:
    body = {"memories": [{"content": text} for text in texts]}
    assert (await client.post("/api/memories/batch", json=body, headers=tenant.auth)).status_code == 200


async def embedding(client: httpx.AsyncClient, count: int) -> dict[str, Any]:
    """Return the check of the model, once that many memories were counted."""
    with anyio.fail_after(20):
        while True:
            check: dict[str, Any] = (await client.get("/health")).json()["checks"]["embedding"]
            if sum(check.get("models", {}).values()) == count:
                return check
            await anyio.to_thread.run_sync(threading.Event().wait, 0.02)


async def test_health_tells_which_model_made_how_many_vectors(client: httpx.AsyncClient, alice: Tenant) -> None:
    await add(client, alice, ENGLISH)
    check = await embedding(client, len(ENGLISH))
    assert check["models"] == {"words/test": len(ENGLISH)}
    assert check["status"] == "healthy"


async def test_a_project_in_english_is_never_told_to_change_the_model(client: httpx.AsyncClient, alice: Tenant) -> None:
    await add(client, alice, [*ENGLISH * 3, *OTHERS["pt"]])
    await embedding(client, len(ENGLISH) * 3 + 3)
    assert "advice" not in await embedding(client, len(ENGLISH) * 3 + 3)


@pytest.mark.parametrize("language", ["de", "ja"])
async def test_a_project_in_another_language_is_told_which_setting_to_change(
    client: httpx.AsyncClient, alice: Tenant, language: str
) -> None:
    await add(client, alice, [*ENGLISH, *OTHERS[language] * 2])
    check = await embedding(client, len(ENGLISH) + 6)
    assert "1 project has many memories in languages" in check["advice"]
    assert "SELFMEMORY_EMBEDDING_MODEL=multilingual-e5-small" in check["advice"]
    assert check["status"] == "healthy"
