"""A program that decodes multilingual-e5-small from 4 bits into the folder of a BERT model that transformers can read.

python e5_decode.py SOURCE.bin TARGET_FOLDER
"""

import itertools
import json
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

MAGIC = b"E5S1"
BLOCK = 32
BLOCK_BYTES = 18
"""A float16 scale, then `BLOCK` values of 4 bits."""

TENSORS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln": "embeddings.LayerNorm",
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
PARTS = {"w": "weight", "b": "bias"}


class Reader:
    """Reads values of a file in order."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, layout: str) -> tuple[int, ...]:
        """Return the values of a `struct` layout, little-endian."""
        values = struct.unpack_from(f"<{layout}", self.data, self.position)
        self.position += struct.calcsize(f"<{layout}")
        return values

    def text(self, length: int) -> str:
        self.position += length
        return self.data[self.position - length : self.position].decode()


@dataclass(frozen=True)
class Shape:
    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    types: int


@dataclass(frozen=True)
class Pieces:
    """The vocabulary of the tokenizer, and the numbers of its special pieces."""

    scored: list[tuple[str, float]]
    first: int
    last: int
    padding: int
    unknown: int


def main(source: str, target: str) -> None:
    folder = Path(target)
    folder.mkdir()
    reader = Reader(Path(source).read_bytes())
    if reader.data[:4] != MAGIC:
        raise SystemExit("the file has an unknown format")
    reader.take("4sI")
    shape = Shape(*reader.take("7i"))
    (epsilon,) = reader.take("f")
    if reader.take("i") != (BLOCK,):
        raise SystemExit("the file uses an unsupported block size")
    pieces = read_pieces(reader)
    write_tokenizer(pieces, folder / "tokenizer.json")
    write_config(shape, epsilon, pieces.padding, folder / "config.json")
    save_file(dict(read_tensors(reader, shape)), folder / "model.safetensors", metadata={"format": "pt"})


def read_pieces(reader: Reader) -> Pieces:
    count, first, last, padding, unknown = reader.take("5i")
    (length,) = reader.take("Q")
    offsets = reader.take(f"{count + 1}I")
    scores = reader.take(f"{count}f")
    start = reader.position
    texts = [reader.data[start + a : start + b].decode() for a, b in itertools.pairwise(offsets)]
    reader.position += length
    _count, map_length = reader.take("iI")
    reader.position += map_length  # it equals Nmt and NFKC, which the tokenizers library has
    return Pieces(list(zip(texts, scores, strict=True)), first, last, padding, unknown)


def write_tokenizer(pieces: Pieces, target: Path) -> None:
    special = {pieces.first, pieces.last, pieces.padding, pieces.unknown, len(pieces.scored) - 1}
    # A space in front of a special piece keeps texts from containing it, because no word contains a space.
    vocabulary = [
        (f" {text}" if number in special else text, score) for number, (text, score) in enumerate(pieces.scored)
    ]
    tokenizer = Tokenizer(models.Unigram(vocabulary, pieces.unknown))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.post_processor = processors.TemplateProcessing(
        "<s> $A </s>", special_tokens=[("<s>", pieces.first), ("</s>", pieces.last)]
    )
    tokenizer.save(str(target), pretty=False)


def write_config(shape: Shape, epsilon: float, padding: int, target: Path) -> None:
    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "hidden_act": "gelu",
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.feed_forward,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.positions,
        "type_vocab_size": shape.types,
        "layer_norm_eps": epsilon,
        "pad_token_id": padding,
    }
    target.write_text(json.dumps(config), "utf-8")


def read_tensors(reader: Reader, shape: Shape) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield each tensor with its name in transformers."""
    (count,) = reader.take("i")
    for _ in range(count):
        (length,) = reader.take("H")
        name = reader.text(length)
        _kind, values, offset, size = reader.take("BIQQ")
        flat = decode(reader.data[offset : offset + size], values)
        yield name_in_transformers(name), flat.reshape(-1, columns_of(name, shape)) if is_matrix(name) else flat


def is_matrix(name: str) -> bool:
    return name in ("emb.word", "emb.pos", "emb.type") or (name.endswith(".w") and "ln" not in name)


def columns_of(name: str, shape: Shape) -> int:
    return shape.feed_forward if name.endswith(".fo.w") else shape.hidden


def name_in_transformers(name: str) -> str:
    if name in TENSORS:
        return TENSORS[name]
    owner, _, part = name.rpartition(".")
    if owner in TENSORS:
        return f"{TENSORS[owner]}.{PARTS[part]}"
    layer, _, kind = owner.partition(".")
    return f"encoder.layer.{int(layer[1:])}.{TENSORS[kind]}.{PARTS[part]}"


def decode(data: bytes, count: int) -> NDArray[np.float32]:
    """Return `count` numbers: plain float32, or blocks of 4-bit values, each of which means scale × (bits - 8)."""
    if len(data) == count * 4:
        return np.frombuffer(data, "<f4").copy()
    blocks = np.frombuffer(data, np.uint8).reshape(-1, BLOCK_BYTES)
    scales = blocks[:, :2].copy().view("<f2").astype(np.float32)
    packed = blocks[:, 2:]
    values = np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32) - 8
    return (values * scales).reshape(-1)[:count]


if __name__ == "__main__":
    main(*sys.argv[1:])
