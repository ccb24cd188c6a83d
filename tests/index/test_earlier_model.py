"""After a change of the model, searches use the earlier model's vectors until there are new ones."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from server.domain.memory.pages import similar
from server.index import earlier
from server.index.model.embeddings import Embedder
from server.index.model.failures import ModelAway
from server.index.question import Candidates
from server.index.types import Vectors
from server.models import Memory, Piece, Project
from server.settings import Settings
from tests.index.test_reembedding import BlockedEmbedder, models
from tests.support.fakes import WordEmbedder
from tests.support.world import World, eventually, opened


class Longer(BlockedEmbedder):
    name = "longer/test"


PACKAGED = {embedder.name: embedder for embedder in (WordEmbedder(), Longer())}


@pytest.fixture(autouse=True)
def _packaged(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_packaged(name: str, _data_dir: Path) -> Embedder | None:
        return PACKAGED.get(name)

    monkeypatch.setattr(earlier, "open_packaged", open_packaged)
    monkeypatch.setattr(earlier, "LOOK_EVERY_SECONDS", 0.0)


def best(world: World, query: str) -> tuple[str, float, str]:
    found = world.found(query)[0]
    return found.memory.content, round(found.similarity, 1), found.piece


@pytest.mark.parametrize("limit", [5000, 0])
def test_the_earlier_vectors_answer_until_there_are_new_ones(
    settings: Settings, embedder: Embedder, limit: int
) -> None:
    settings = settings.model_copy(update={"exact_scan_limit": limit})
    with opened(settings, embedder) as before:
        before.add_many([f"canoe trip number {n}" for n in range(60)])
        changed = before.add("a wooden paddle")
        deleted = before.add("a torn sail")
    slow = BlockedEmbedder()
    with opened(settings, slow) as after:
        eventually(lambda: after.found("canoe trip number 7")[0].similarity > 0.5)
        assert best(after, "canoe trip number 7")[2] == "canoe trip number 7"
        after.delete(deleted)
        assert "a torn sail" not in after.texts("a torn sail")
        slow.released.set()
        after.update(changed, "a carbon oar")
        assert best(after, "carbon oar")[::2] == ("a carbon oar", "a carbon oar")
        eventually(lambda: models(after) == {"other/test"})
        eventually(lambda: after.found("anything") == [] or after.index._earlier._opened is None)
        assert after.found("canoe trip number 7")[0].similarity > 0.5


def test_the_first_search_after_a_change_already_uses_the_earlier_vectors(
    settings: Settings, embedder: Embedder
) -> None:
    with opened(settings, embedder) as before:
        before.add("a red canoe")
    with opened(settings, BlockedEmbedder()) as after:
        assert after.found("a red canoe")[0].similarity > 0.5


def test_an_earlier_model_that_cannot_be_opened_is_logged(
    settings: Settings, embedder: Embedder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_name: str, _data_dir: Path) -> Embedder | None:
        raise RuntimeError("no such graph")

    monkeypatch.setattr(earlier, "open_packaged", broken)
    with opened(settings, embedder) as before:
        before.add("a red canoe")
    with opened(settings, AwayEmbedder()) as after:
        after.found("red canoe")
        eventually(lambda: "the earlier model cannot be opened" in caplog.text)


class AwayEmbedder(WordEmbedder):
    """Another model, which is not there."""

    name = "other/test"

    def embed(self, texts: object, /, *, is_question: bool = False) -> Vectors:
        raise ModelAway


def test_they_also_answer_while_the_new_model_is_missing(settings: Settings, embedder: Embedder) -> None:
    with opened(settings, embedder) as before:
        before.add_many([f"canoe trip number {n}" for n in range(60)])
    with opened(settings, AwayEmbedder()) as after:
        added = after.add("a red kayak")
        eventually(lambda: after.found("canoe trip number 7")[0].similarity > 0.5)
        assert after.found("red kayak")[0].memory.id == added


class Elsewhere(WordEmbedder):
    """Another model: its vectors of soups are those that the earlier one has of a canoe, and it is away for canoes."""

    name = "other/test"

    def embed(self, texts: Sequence[str], /, *, is_question: bool = False) -> Vectors:
        if any("canoe" in text for text in texts):
            raise ModelAway
        return super().embed(["canoe"] * len(texts))


def test_vectors_of_different_models_are_not_similar(settings: Settings, embedder: Embedder) -> None:
    with opened(settings, embedder) as before:
        canoe = before.add("canoe")
    with opened(settings, Elsewhere()) as after:
        soup = after.add("soup")
        eventually(lambda: after.found("soup") != [] and after.index._earlier._opened is not None)
        for memory_id in (soup, canoe):
            with after.database.read() as session:
                assert similar.similar_to(session, after.principal, memory_id, after.index, 4) == []


def test_a_question_is_compared_with_the_vectors_of_the_model_that_embedded_it(
    settings: Settings, embedder: Embedder
) -> None:
    with opened(settings, embedder) as before:
        before.add("canoe")
    with opened(settings, AwayEmbedder()) as after:
        eventually(lambda: after.found("canoe")[0].similarity > 0.5)
        with after.database.write() as session:
            project = session.get_one(Project, after.project_id)
            question = after.index.embed_question(session, project, "canoe")
            assert question.earlier is not None
            assert question.earlier.result() is not None
            session.execute(sa.delete(Piece))
            session.execute(sa.update(Memory).values(embedding_model=Longer.name, piece_count=0))
        eventually(lambda: earlier_name(after) == Longer.name)
        with after.database.read() as session:
            every = Candidates(None, np.empty(0, np.int64), 1)
            similar_memories = after.index.find_similar(session, project, question, every)
        assert len(similar_memories.numbers) == 1  # of the matrix that was read before


def earlier_name(world: World) -> str | None:
    """Return the name of the earlier model, after looking for it."""
    world.index._earlier.look()
    opened_model = world.index._earlier._opened
    return opened_model.embedder.name if opened_model else None


class Waiting(WordEmbedder):
    """Embeds when `released` is set, and is closed once."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.closed = 0

    def embed(self, texts: Sequence[str], /, *, is_question: bool = False) -> Vectors:
        self.released.wait(5)
        return super().embed(texts)

    def close(self) -> None:
        self.released.set()
        self.closed += 1


def test_a_model_that_would_be_opened_during_the_end_is_closed(
    settings: Settings, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened_models: list[Waiting] = []

    def open_another(_name: str, _data_dir: Path) -> Embedder:
        opened_models.append(Waiting())
        return opened_models[-1]

    monkeypatch.setattr(earlier, "THREADS", 1)
    monkeypatch.setattr(earlier, "open_packaged", open_another)
    with opened(settings, embedder) as before:
        before.add("a red canoe")
    with opened(settings, AwayEmbedder()) as after:
        after.index._earlier.look()
        after.index._earlier._look_at = time.monotonic() + 60
        after.index._earlier.ask("canoe")  # holds the only thread
        after.index._earlier._look_at = 0.0
        after.index._earlier.ask("canoe")
        threading.Timer(0.5, opened_models[0].released.set).start()
    assert [model.closed for model in opened_models] == [1]
