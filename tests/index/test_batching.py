"""The queue in front of the model is fair."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest

from server.index.model.batching import MAX_URGENT_TURNS, BatchingEmbedder
from server.index.model.failures import EmbedderClosed, ModelFailed
from server.index.model.prompts import NO_PROMPTS, Prompts
from server.index.types import Vectors
from tests.support.world import eventually


class BlockedModel:
    """A model of one thread that records its batches and answers once `released` is set."""

    name = "blocked/test"
    dimensions = 2
    mean = np.zeros(2, np.float32)
    prompts = NO_PROMPTS
    threads = 1

    def __init__(self, batch_size: int = 1) -> None:
        self.batch_size = batch_size
        self.batches: list[list[str]] = []
        self.started = threading.Event()
        self.released = threading.Event()
        self.before: Callable[[Sequence[str]], None] = lambda _texts: None
        self.error: BaseException = ValueError("cannot read this")

    def encode(self, texts: Sequence[str], /) -> Vectors:
        self.before(texts)
        self.batches.append(list(texts))
        self.started.set()
        self.released.wait(10)
        if "bad" in texts:
            raise self.error
        return np.array([[len(text), 1] for text in texts], dtype=np.float32)

    def can_read(self, _text: str, /) -> bool:
        return True

    def close(self) -> None:
        pass


class BusyEmbedder:
    """An embedder whose only model thread is busy with the text "first", and the requests queued behind it."""

    def __init__(self, batch_size: int = 1) -> None:
        self.model = BlockedModel(batch_size)
        self.embedder = BatchingEmbedder(self.model)
        self.callers = ThreadPoolExecutor(20)
        self.first = self.callers.submit(self.embedder.embed, ["first"])
        self.model.started.wait(10)

    def ask(self, *texts: str, is_question: bool = False) -> Future[Vectors]:
        """Embed the texts in a thread, and return when they are queued."""
        answer = self.callers.submit(self.embedder.embed, texts, is_question=is_question)
        eventually(lambda: self._has_queued(texts, is_question))
        return answer

    def _has_queued(self, texts: Sequence[str], is_question: bool) -> bool:
        with self.embedder._changed:
            urgent = {text for request in self.embedder._urgent for text in request}
            queued = urgent if is_question else {*urgent, *self.embedder._waiting}
            return set(texts) <= {*queued, *self.embedder._running}

    def texts_run(self) -> list[str]:
        return [text for batch in self.model.batches for text in batch]

    def finish(self) -> None:
        self.model.released.set()
        self.embedder.close()
        self.callers.shutdown()


@pytest.fixture
def busy() -> Iterator[BusyEmbedder]:
    busy = BusyEmbedder()
    yield busy
    busy.finish()


def test_a_question_overtakes_an_import_of_two_thousand_texts(busy: BusyEmbedder) -> None:
    texts = [f"fact {number}" for number in range(2000)]
    imported = busy.ask(*texts)
    question = busy.ask("a question", is_question=True)
    busy.model.released.set()
    assert question.result(10).tolist() == [[10, 1]]
    assert len(imported.result(10)) == 2000
    assert busy.texts_run() == ["first", "a question", *texts]


def test_every_ninth_turn_is_left_to_imports_however_many_questions_wait(busy: BusyEmbedder) -> None:
    imported = busy.ask("fact 1", "fact 2")
    questions = busy.ask(*(f"question {number}" for number in range(30)), is_question=True)
    busy.model.released.set()
    questions.result(10)
    imported.result(10)
    turns = [text for text in busy.texts_run() if text.startswith("fact") or text == "first"]
    positions = [busy.texts_run().index(text) for text in turns]
    assert [later - earlier for earlier, later in pairwise(positions)] == [MAX_URGENT_TURNS + 1] * 2


def test_imports_take_turns_text_by_text(busy: BusyEmbedder) -> None:
    answers = [busy.ask("a1", "a2", "a3", "a4"), busy.ask("b1"), busy.ask("c1", "c2")]
    busy.model.released.set()
    for answer in answers:
        answer.result(10)
    assert busy.texts_run() == ["first", "a1", "b1", "c1", "a2", "c2", "a3", "a4"]


def test_a_new_request_does_not_wait_for_those_that_had_a_turn(busy: BusyEmbedder) -> None:
    """Else a short text waits for a turn of each long request."""
    long = [busy.ask(*(f"{name}{number}" for number in range(4))) for name in "abc"]
    short: list[Future[Vectors]] = []

    def ask_when_all_had_a_turn(texts: Sequence[str]) -> None:
        if list(texts) == ["c0"]:
            short.append(busy.embedder.submit(["short"]))

    busy.model.before = ask_when_all_had_a_turn
    busy.model.released.set()
    for answer in long:
        answer.result(10)
    short[0].result(10)
    run = busy.texts_run()
    assert run[run.index("c0") + 1] == "short"
    assert sorted(run[-3:]) == ["a3", "b3", "c3"]


def test_a_text_that_several_callers_wait_for_is_computed_once(busy: BusyEmbedder) -> None:
    answers = [busy.ask("same", "same") for _ in range(4)]
    answers += [busy.ask("same", is_question=True) for _ in range(4)]
    answers.append(busy.ask("first"))
    busy.model.released.set()
    assert [answer.result(10)[-1].tolist() for answer in answers] == [[4, 1]] * 8 + [[5, 1]]
    assert busy.texts_run() == ["first", "same"]


def test_a_model_with_batches_gets_the_waiting_texts_in_one_call() -> None:
    busy = BusyEmbedder(batch_size=4)
    answers = [busy.ask(f"text {number}") for number in range(6)]
    busy.model.released.set()
    for answer in answers:
        answer.result(10)
    busy.finish()
    assert busy.model.batches == [
        ["first"],
        ["text 0", "text 1", "text 2", "text 3"],
        ["text 4", "text 5"],
    ]


@pytest.mark.parametrize("error", [ValueError, BaseException])
def test_a_text_that_the_model_rejects_fails_only_for_its_callers(
    busy: BusyEmbedder, error: type[BaseException]
) -> None:
    """Libraries in Rust panic with a BaseException."""
    busy.model.error = error("cannot read this")
    bad, good = busy.ask("bad"), busy.ask("good")
    busy.model.released.set()
    with pytest.raises(ModelFailed):
        bad.result(10)
    assert good.result(10).tolist() == [[4, 1]]
    with pytest.raises(ModelFailed):
        busy.embedder.embed(["bad"], is_question=True)


def test_questions_and_passages_get_the_prompts_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BlockedModel, "prompts", Prompts("query: ", "passage: "))
    model = BlockedModel(batch_size=4)
    model.released.set()
    embedder = BatchingEmbedder(model)
    embedder.embed(["a canoe"], is_question=True)
    embedder.embed(["a canoe"])
    embedder.submit(["a kayak"], is_question=True).result()
    embedder.submit(["a kayak", "a tent"]).result()
    embedder.close()
    assert model.batches == [
        ["query: a canoe"],
        ["passage: a canoe"],
        ["query: a kayak"],
        ["passage: a kayak", "passage: a tent"],
    ]


def test_closing_finishes_the_running_texts_and_fails_the_others(busy: BusyEmbedder) -> None:
    waiting = busy.ask("second")
    closing = busy.callers.submit(busy.embedder.close)
    with pytest.raises(EmbedderClosed):
        waiting.result(10)
    busy.model.released.set()
    assert busy.first.result(10).tolist() == [[5, 1]]
    closing.result(10)
    with pytest.raises(EmbedderClosed):
        busy.embedder.embed(["third"])
    assert busy.texts_run() == ["first"]


class SlowModel:
    """A model of two threads. Each text runs until the test lets it end."""

    name = "slow/test"
    dimensions = 2
    mean = np.zeros(2, np.float32)
    prompts = NO_PROMPTS
    threads = 2
    batch_size = 1

    def __init__(self) -> None:
        self.running: list[str] = []
        self.changed = threading.Condition()
        self.may_end = threading.Semaphore(0)

    def encode(self, texts: Sequence[str], /) -> Vectors:
        with self.changed:
            self.running += texts
            self.changed.notify_all()
        self.may_end.acquire(timeout=10)
        with self.changed:
            self.running.remove(texts[0])
            self.changed.notify_all()
        return np.array([[len(text), 1] for text in texts], dtype=np.float32)

    def can_read(self, _text: str, /) -> bool:
        return True

    def close(self) -> None:
        pass

    def wait_for(self, count: int) -> list[str]:
        """Wait until so many texts run, and return them."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.running) == count, 10), self.running
            return list(self.running)


def test_one_caller_uses_all_threads_and_several_leave_one_for_first_turns() -> None:
    model = SlowModel()
    embedder = BatchingEmbedder(model)
    embedder.expect("flood")
    flood = embedder.submit([f"flood {number}" for number in range(6)])
    model.wait_for(2)
    embedder.expect("neighbor")
    model.may_end.release()
    model.wait_for(1)
    assert embedder.is_idle(), "a thread is kept"
    memory = embedder.submit(["memory"])
    assert "memory" in model.wait_for(2)
    model.may_end.release(10)
    assert memory.result(10).tolist() == [[6, 1]]
    assert len(flood.result(10)) == 6
    embedder.close()


def test_a_text_that_waits_as_a_later_turn_runs_once_when_it_is_asked_for_at_once() -> None:
    model = SlowModel()
    embedder = BatchingEmbedder(model)
    embedder.expect("flood")
    embedder.expect("neighbor")
    flood = embedder.submit(["first", "same"])
    model.wait_for(1)
    asking = ThreadPoolExecutor(1)
    asked = asking.submit(embedder.embed, ["same"])
    model.may_end.release(10)
    assert asked.result(10).tolist() == [[4, 1]]
    assert len(flood.result(10)) == 2
    assert embedder.embed(["other"]).tolist() == [[5, 1]], "both threads live"
    embedder.close()
