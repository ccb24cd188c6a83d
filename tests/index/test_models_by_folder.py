"""A model in a folder is exported once and runs as its files say. Other models run in sentence-transformers."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from server.index.model import embeddings, programs, sentence_folder
from server.index.model.embeddings import load
from server.index.model.failures import ModelUnusable
from server.index.model.onnx_model import Exported, OnnxModel
from server.index.model.programs import ProgramFailed
from server.index.model.sentence_folder import NotExportable

TEXTS = ["a red canoe", "what did the small bear eat in the woods", "a", "one two three " * 30]
FAMILIES = {"bert": "mean", "xlm-roberta": "cls", "mpnet": "mean", "distilbert": "cls"}
PROMPTS = {"query": "question ", "document": "text "}
BUILD = Path(__file__).parents[1] / "support" / "small_models.py"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small model of each family, exported, and with what sentence-transformers makes of `TEXTS`."""
    folder = tmp_path_factory.mktemp("models")
    command: list[str | Path] = [sys.executable, "-W", "ignore", BUILD, folder, json.dumps([FAMILIES, PROMPTS, TEXTS])]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return folder


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is exported out of the installation."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))


@pytest.fixture
def exports(models: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The exports that were asked for, each answered with the one of the fixture, which took long enough."""
    asked: list[str] = []

    def export(source: Path, pooling: str, scratch: Path) -> None:
        asked.append(pooling)
        shutil.copy(models / source.name / "int8.onnx", scratch / "exported.onnx")

    monkeypatch.setattr(programs, "export", export)
    return asked


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_is_exported_once_and_agrees_with_sentence_transformers(
    family: str, models: Path, prefix: None, exports: list[str], tmp_path: Path
) -> None:
    folder = models / family
    reference = np.load(folder / "reference.npz")
    model = load(str(folder), tmp_path)
    assert model.name.startswith(f"{family}-")
    assert model.name.endswith("/int8")
    assert (model.dimensions, model.threads) == (32, model.threads)
    described = sentence_folder.read(folder, family)
    full = OnnxModel(
        Exported(family, described.tokenizer, folder / "full.onnx", described.max_tokens, described.prompts)
    )
    for kind, is_question in (("questions", True), ("passages", False)):
        texts = [model.prompts.before(is_question=is_question) + text for text in TEXTS]
        assert (full.encode(texts) * reference[kind]).sum(axis=1).min() >= 0.999
        assert (model.encode(texts) * reference[kind]).sum(axis=1).min() >= 0.9
    load(str(folder), tmp_path).close()
    assert exports == [FAMILIES[family]]


def test_a_damaged_export_is_made_again(models: Path, prefix: None, exports: list[str], tmp_path: Path) -> None:
    killed = tmp_path / "prefix/share/selfmemory/models/.export-killed"
    killed.mkdir(parents=True)
    os.utime(killed, (0, 0))
    load(str(models / "bert"), tmp_path)
    (file,) = tmp_path.rglob("*.onnx")
    whole = file.read_bytes()
    file.write_bytes(whole[:1000])
    load(str(models / "bert"), tmp_path)
    assert [one.read_bytes() == whole for one in tmp_path.rglob("*.onnx")] == [True]
    assert len(exports) == 2
    assert not killed.exists()


def test_other_weights_in_the_same_folder_are_another_model(
    models: Path, prefix: None, exports: list[str], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(models / "bert", tmp_path / "bert"))
    before = load(str(folder), tmp_path).name
    save_file({"weight": np.ones(3, np.float32)}, folder / "model.safetensors")
    assert load(str(folder), tmp_path).name != before
    assert len(exports) == 2


def _edited(name: str, **values: object) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        file = folder / name
        file.write_text(json.dumps({**json.loads(file.read_text("utf-8")), **values}), "utf-8")

    return edit


def _with_dense(folder: Path) -> None:
    modules = json.loads((folder / "modules.json").read_text("utf-8"))
    dense = {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"}
    (folder / "modules.json").write_text(json.dumps([*modules[:2], dense]), "utf-8")


UNEXPORTABLE: dict[str, Callable[[Path], object]] = {
    "it is a t5 model": _edited("config.json", model_type="t5"),
    "it consists of Transformer, Pooling, Dense": _with_dense,
    "its pooling is max": _edited("1_Pooling/config.json", pooling_mode="max"),
    "it excludes its prompts from the mean": _edited("1_Pooling/config.json", include_prompt=False),
    "it has no tokenizer.json": lambda folder: (folder / "tokenizer.json").unlink(),
    "it has no model.safetensors": lambda folder: (folder / "model.safetensors").unlink(),
}


@pytest.mark.parametrize("reason", UNEXPORTABLE)
def test_what_cannot_be_exported_runs_in_sentence_transformers_and_the_log_says_so(
    reason: str, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(shutil.copytree(models / "bert", tmp_path / "bert"))
    UNEXPORTABLE[reason](folder)
    with pytest.raises(NotExportable, match=f"^{reason}$"):
        sentence_folder.read(folder, "bert")
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(embeddings, "TransformersModel", lambda *names: asked.append(names))
    load(str(folder), tmp_path)
    assert asked == [(str(folder), "bert")]
    assert f"the embedding model bert cannot be exported, so sentence-transformers runs it: {reason}" in caplog.text


def test_a_failed_export_is_no_reason_to_do_without_the_model(
    models: Path, prefix: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_arguments: object) -> None:
        raise ProgramFailed("an operator is missing")

    monkeypatch.setattr(programs, "export", fail)
    monkeypatch.setattr(embeddings, "TransformersModel", lambda *names: names)
    assert load(str(models / "bert"), tmp_path) == (str(models / "bert"), "bert")  # type: ignore[comparison-overlap]  # the stand-in
    assert "an operator is missing" in caplog.text


def _without_files(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "there is no such folder": shutil.rmtree,
    "it has no config.json": _without_files,
    "its config.json is damaged": lambda folder: (folder / "config.json").write_bytes(b"{"),
    "its modules.json is damaged": lambda folder: (folder / "modules.json").write_bytes(b"\xff"),
    "its tokenizer.json is damaged": lambda folder: (folder / "tokenizer.json").write_text("{}", "utf-8"),
    "its 1_Pooling/config.json is damaged": lambda folder: (folder / "1_Pooling" / "config.json").write_bytes(b"{"),
    "its model.safetensors is damaged": lambda folder: os.truncate(folder / "model.safetensors", 9000),
}


@pytest.mark.usefixtures("prefix", "exports")
@pytest.mark.parametrize("reason", DAMAGES)
def test_what_is_missing_or_damaged_is_one_sentence_without_a_path(reason: str, models: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(models / "bert", tmp_path / "bert"))
    DAMAGES[reason](folder)
    with pytest.raises(ModelUnusable) as refused:
        load(str(folder), tmp_path)
    assert reason in str(refused.value)
    assert str(refused.value).startswith("The embedding model 'bert")
    assert str(tmp_path) not in str(refused.value)


def test_a_model_that_the_hub_does_not_give_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelUnusable, match=r"^The embedding model 'nobody/nothing' cannot be downloaded"):
        load("nobody/nothing", tmp_path)
