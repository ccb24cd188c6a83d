"""After a change of the embedding model, vectors are rebuilt in the background while searches work."""

import threading
from collections.abc import Sequence

import numpy as np
import pytest
import sqlalchemy as sa
from sqlmodel import col

from server.domain.memory import context
from server.domain.teams import projects
from server.index.model.embeddings import Embedder
from server.index.model.failures import ModelAway, ModelFailed
from server.index.types import Embedded, Vectors
from server.index.upkeep import reembedding, worker
from server.index.upkeep.progress import Progress, watched
from server.index.upkeep.reembedding import Reembedding
from server.models import Memory
from server.settings import Settings
from tests.support.fakes import Unqueued, WordEmbedder
from tests.support.world import World, eventually, opened


class BlockedEmbedder(Unqueued):
    """Another model, with longer vectors. Until `released` is set, it embeds only questions."""

    name = "other/test"
    dimensions = 96
    mean = np.zeros(96, np.float32)

    def __init__(self) -> None:
        self.released = threading.Event()
        self._words = WordEmbedder()

    def embed(self, texts: Sequence[str], /, *, is_question: bool = False) -> Vectors:
        if not is_question:
            self.released.wait(20)
        return np.concatenate([self._words.embed(texts), np.zeros((len(texts), 32), np.float32)], axis=1)

    def close(self) -> None:
        self.released.set()


def models(world: World) -> set[str]:
    with world.database.read() as session:
        return set(session.scalars(sa.select(col(Memory.embedding_model)).distinct()))


@pytest.mark.parametrize("limit", [5000, 0])
def test_search_works_while_vectors_are_rebuilt(
    settings: Settings, embedder: Embedder, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings.model_copy(update={"exact_scan_limit": limit})
    with opened(settings, embedder) as before:
        before.add_many([f"canoe trip number {n}" for n in range(40)])
        deleted = before.add("to be deleted soon")
    slow = BlockedEmbedder()
    with opened(settings, slow) as after:
        eventually(lambda: after.index._worker._job is not None)
        assert after.texts("canoe trip number 7")[0] == "canoe trip number 7"
        assert after.found("canoe trip number 7")[0].similarity == 0
        after.delete(deleted)
        slow.released.set()
        added = after.add("a red kayak")
        eventually(lambda: models(after) == {"other/test"})
        eventually(lambda: after.index.work is None)
        assert after.found("canoe trip number 7")[0].similarity > 0.5
        assert after.found("red kayak")[0].memory.id == added
        assert after.texts("to be deleted soon")[0] != "to be deleted soon"


def test_progress_is_reported(settings: Settings, embedder: Embedder, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with opened(settings, embedder) as before:
        before.add_many([f"canoe trip number {n}" for n in range(100)])
    slow = BlockedEmbedder()
    slow.released.set()
    seen: set[str | None] = set()

    def is_done() -> bool:
        seen.add(after.index.work)
        return models(after) == {"other/test"}

    with opened(settings, slow) as after:
        eventually(is_done)
        eventually(lambda: after.index.work is None)
    assert any(work and work.startswith("embedding memories") for work in seen)
    logged = [vars(record) for record in caplog.records if record.message == "background work"]
    assert [line["done"] for line in logged if line["work"] == "embedding memories"] == [16, 100]


def test_the_time_left_is_reported() -> None:
    moments = iter([0.0, 0.0, 10.0, 300.0])
    steps = watched((Progress("embedding", done, 1000) for done in (400, 410, 700)), lambda: next(moments))
    told = ["embedding 40%", "embedding 41%, about 10 minutes left", "embedding 70%, about 5 minutes left"]
    assert [str(step) for step in steps] == told


class FailingOnce(WordEmbedder):
    """Another model, which fails the first time."""

    name = "other/test"
    has_failed = False

    def embed(self, texts: Sequence[str], /, *, is_question: bool = False) -> Vectors:
        if not self.has_failed:
            self.has_failed = True
            raise ModelFailed
        return super().embed(texts, is_question=is_question)


@pytest.mark.sqlite_only
def test_a_model_that_fails_once_is_tried_again(
    settings: Settings, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.1)
    with opened(settings, embedder) as before:
        before.add("canoe trip")
    with opened(settings, FailingOnce()) as after:
        eventually(lambda: models(after) == {"other/test"})
        assert after.index.health().degraded is None


class OnceInAWhile(WordEmbedder):
    """Another model, which is away after every text, as an endpoint that allows few requests a minute."""

    name = "other/test"
    is_away = True

    def embed(self, texts: Sequence[str], /, *, is_question: bool = False) -> Vectors:
        self.is_away = not self.is_away
        if self.is_away:
            raise ModelAway
        return super().embed(texts, is_question=is_question)


@pytest.mark.sqlite_only
def test_a_model_that_is_often_away_makes_progress(
    settings: Settings, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(reembedding, "EMBED_BATCH", 1)
    with opened(settings, embedder) as before:
        before.add_many([f"canoe trip number {n}" for n in range(4)])
    with opened(settings, OnceInAWhile()) as after:
        eventually(lambda: models(after) == {"other/test"})


class Refusing(WordEmbedder):
    """Another model, which fails on every text about a zeppelin."""

    name = "other/test"
    is_away = False

    def embed(self, texts: Sequence[str], /, *, is_question: bool = False) -> Vectors:
        if self.is_away:
            raise ModelAway
        if any("zeppelin" in text for text in texts):
            raise ModelFailed
        return super().embed(texts, is_question=is_question)


@pytest.mark.sqlite_only
def test_a_text_on_which_the_model_always_fails_does_not_keep_the_others_from_it(
    settings: Settings, embedder: Embedder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.1)
    with opened(settings, embedder) as before:
        before.add_many([f"canoe trip number {n}" for n in range(20)])
        failing = before.add("a silver zeppelin")
        before.add_many([f"kayak trip number {n}" for n in range(20)])
    with opened(settings, Refusing()) as after:
        after.index.wake()
        eventually(lambda: after.index._worker._failing != set())
        eventually(lambda: after.index.work is None)
        assert after.memory(failing).embedding_model == "words/test"
        assert after.found("canoe trip number 7")[0].similarity > 0.5
        assert after.texts("silver balloon")[0] == "a silver zeppelin"
        assert not after.index._worker._job
    logged = [vars(record) for record in caplog.records if "fails on some texts" in record.message]
    assert [line["memories"] for line in logged] == [1]


@pytest.mark.sqlite_only
def test_many_texts_on_which_the_model_fails_do_not_keep_a_later_one_from_it(
    settings: Settings, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.1)
    with opened(settings, embedder) as before:
        before.add_many([f"silver zeppelin number {n}" for n in range(reembedding.EMBED_BATCH + 1)])
    model = Refusing()
    with opened(settings, model) as after:
        eventually(lambda: len(after.index._worker._failing) == reembedding.EMBED_BATCH + 1)
        model.is_away = True
        added = after.add("a red kayak")
        model.is_away = False
        eventually(lambda: after.memory(added).embedding_model == "other/test")


class Another(WordEmbedder):
    name = "other/test"


def test_memories_of_a_deleted_project_are_not_embedded_again(settings: Settings, embedder: Embedder) -> None:
    """They stay on disk until their removal."""
    with opened(settings, embedder) as world:
        world.index._worker.stop()
        world.add("a red canoe")
        world.another_project().add("a blue kayak")
        with world.database.write() as session:
            projects.delete(session, world.principal, world.project_id)
        texts: list[str] = []

        def embed(pairs: Sequence[tuple[str, str]]) -> list[Embedded]:
            texts.extend(content for content, _ in pairs)
            return world.index.embed(pairs)

        list(Reembedding(world.database, embed, "other/test", set(), sa.true()).run())
    assert texts == ["a blue kayak"]


def test_the_context_has_the_newest_memories_also_after_a_change_of_the_model(
    settings: Settings, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bound in ("EMBED_BATCH", "WRITTEN_PIECES"):
        monkeypatch.setattr(reembedding, bound, 1)
    monkeypatch.setattr(context, "MOST_CANDIDATES", 3)
    with opened(settings, embedder) as before:
        oldest, *_ = [before.add(f"canoe trip number {n}") for n in range(6)]
    with opened(settings, Another()) as after:
        eventually(lambda: models(after) == {"other/test"})
        assert known(after) == [f"canoe trip number {n}" for n in (5, 4, 3)]
        after.update(oldest, "a red kayak")
        assert known(after) == ["a red kayak", "canoe trip number 5", "canoe trip number 4"]


def known(world: World) -> list[str]:
    """Return the texts of the context."""
    with world.database.read() as session:
        entries = context.read_context(
            session, world.principal, world.project_id, None, context.DEFAULT_BUDGET, lambda _memory, text: text
        )
    return [entry.text for entry in entries]
