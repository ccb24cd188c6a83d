"""The server prepares a model again if it cannot read the prepared file."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from server.index.model.export_cache import prepared

WEIGHTS = "a" * 64


def make(scratch: Path) -> None:
    (scratch / "exported.onnx").write_bytes(b"graph")


@pytest.fixture(autouse=True)
def without_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prefix").touch()
    monkeypatch.setattr("sys.prefix", str(tmp_path / "prefix"))


@pytest.mark.parametrize(
    "put",
    [
        Path.touch,
        Path.mkdir,  # as Docker does for a file that is mounted and missing
        os.mkfifo,
        lambda file: file.symlink_to("missing"),
        lambda file: file.symlink_to(file.name),
    ],
    ids=["an empty file", "a directory", "a pipe", "a link to nothing", "a link to itself"],
)
def test_what_is_no_model_is_replaced_by_one(tmp_path: Path, put: Callable[[Path], object]) -> None:
    (file,) = prepared(tmp_path, "model", WEIGHTS, [".onnx"], make)
    file.unlink()
    put(file)
    assert prepared(tmp_path, "model", WEIGHTS, [".onnx"], make) == [file]
    assert file.read_bytes() == b"graph"


def test_a_model_with_brackets_in_its_name_is_prepared_once(tmp_path: Path) -> None:
    made: list[Path] = []

    def count(scratch: Path) -> None:
        made.append(scratch)
        make(scratch)

    for _ in range(2):
        prepared(tmp_path, "model [v2]", WEIGHTS, [".onnx"], count)
    assert len(made) == 1
