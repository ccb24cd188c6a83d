"""The server reports how many vectors each model made, and whether the model supports the stored languages."""

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
    "es": ["Mi hermana vive en Sevilla.", "La reunión es el martes a las diez.", "No le gusta nada el tomate."],
    "fr": ["Le mot de passe est dans le coffre.", "Ma sœur habite à Lyon.", "Je bois mon café sans sucre."],
    "pl": ["Moja siostra mieszka w Łodzi.", "Hasło jest w sejfie.", "Nie lubię pomidorów, ale lubię ogórki."],
    "vi": ["Chị tôi sống ở Hà Nội.", "Cuộc họp dời sang thứ ba.", "Tôi uống cà phê không đường."],
    "zh": ["我妹妹住在上海。", "会议改到星期二。", "喝咖啡不加糖"],
}
SHORT_NOTES = {
    "tasks": [
        "TODO 3",
        "TODO: call José",
        "[ ] pay rent",
        "FIXME la",
        "- [x] milk\n- [ ] jalapeños\n- [x] crème fraîche",
    ],
    "purchases": [
        "milk, eggs, crème fraîche, jalapeños",
        "leche, pan, azúcar",
        "2 kg rosé, brie & pâté",
        "Müsli\nÖl\nKäse",
    ],
    "names": ["José, Zoë, Björn, Łukasz", "Renée Müller", "Ludwig van Beethoven", "Vincent van Gogh and Salvador Dalí"],
    "places": [
        "Los Angeles Las Vegas San José El Paso",
        "Las Vegas hotel booking",
        "Flight MUC LAX via Zürich Île-de-France",
    ],
    "bookmarks": [
        "https://github.com/a/b https://example.com/de https://example.com/la",
        "www.lemonde.fr www.elpais.com www.spiegel.de www.corriere.it",
        "mail a@example.com b@example.com c@example.de d@example.it",
        "example.com: a tool for com ports",
    ],
    "code": [
        "const und = new Map(); let die = das[0]; return die;",
        "for (let i = 0; i < les.length; i++) { om.push(les[i]) }",
        "SELECT de FROM la WHERE un = 1;",
        "```\nel = la.de(un)\nles = el\n```",
        "/usr/share/de/la.mo ./les/el.py C:\\das\\des",
        "`para` `por` `con` `una`",
    ],
    "commits": ["fix(de): la und el keys", "Merge branch 'el/la'", "Bump com.example:des from 1.2 to 1.3", "v2.0.1"],
    "numbers": ["3.14 42 1,000 99", "+49 30 123456", "2026-11-28 18:00", "α = 0.05, β = 0.2, μ = 3"],
    "signs": ["🎉🎉🎉", "¯\\_(ツ)_/¯ ok", "👍 José 👍 Zoë", "→ ← ↑ ↓", "𝐇𝐞𝐥𝐥𝐨 𝐰𝐨𝐫𝐥𝐝"],
    "abbreviations": ["UN DES AV LA DE", "LA office, DE tax ID, AV cables", "SEM image of DES keys"],
}


@pytest.mark.parametrize("kind", SHORT_NOTES)
def test_a_short_note_is_not_taken_for_another_language(kind: str) -> None:
    assert [text for text in SHORT_NOTES[kind] if is_english(text) is False] == []


def test_it_is_known_which_texts_are_english() -> None:
    assert [text for text in ENGLISH if is_english(text) is False] == []
    assert {name: [is_english(text) for text in texts] for name, texts in OTHERS.items()} == {
        name: [False] * 3 for name in OTHERS
    }
    assert is_english("OK, 42!") is None


@pytest.mark.parametrize(
    "text",
    [
        "O dentista (o da rua nova) ligou ontem.",
        "(Urgente) A minha irmã mora no Porto.",
        "Der Termin ist am Montag (10).",
    ],
)
def test_a_remark_in_parentheses_does_not_make_a_text_code(text: str) -> None:
    assert is_english(text) is False


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
    monkeypatch.setattr("server.shell.health.KEEP_SECONDS", 0.0)


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


@pytest.mark.sqlite_only
async def test_a_project_in_english_gets_no_advice_about_the_model(client: httpx.AsyncClient, alice: Tenant) -> None:
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


@pytest.mark.sqlite_only
async def test_a_project_of_short_notes_gets_no_advice_about_the_model(
    client: httpx.AsyncClient, alice: Tenant
) -> None:
    notes = [text for texts in SHORT_NOTES.values() for text in texts]
    await add(client, alice, [*notes, *OTHERS["es"]])
    assert "advice" not in await embedding(client, len(notes) + 3)
