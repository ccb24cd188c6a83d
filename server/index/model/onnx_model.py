"""Runs an exported model on onnxruntime and tokenizers, without torch."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # it has no types
from tokenizers import Encoding, Tokenizer

from server.index.model.failures import ModelUnusable
from server.index.model.mean import mean_of
from server.index.model.prompts import NO_PROMPTS, Prompts
from server.index.types import Vectors
from server.machine.resources import cpu_count

PRECISION = "int8"
GRAPH = f"{PRECISION}.2"
"""A part of the names of exported files. Increase the number with each change of `onnx_export`."""

SLOWER_FUSIONS = ["SkipLayerNormFusion"]
"""Optimizations of onnxruntime that cost time. This one divides once for each number; the nodes that it replaces divide
once for each token.
"""

UNKNOWN_TOKENS = ("[UNK]", "<unk>")


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported model. `name` is without the precision."""

    name: str
    tokenizer: Path
    graph: Path
    max_tokens: int
    prompts: Prompts = NO_PROMPTS
    is_lowercase: bool = False


class OnnxModel:
    """Embeds one text at a time: int8 uses one scale for a whole batch, so batches lose precision and save no time."""

    batch_size = 1

    def __init__(self, model: Exported) -> None:
        self.name = f"{model.name}/{PRECISION}"
        self.prompts = model.prompts
        self.threads = cpu_count()
        self._is_lowercase = model.is_lowercase
        self._tokenizer = _read_tokenizer(model)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(model.max_tokens)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(model.graph), options, providers=["CPUExecutionProvider"], disabled_optimizers=SLOWER_FUSIONS
        )
        self._unknown = frozenset(map(self._tokenizer.token_to_id, UNKNOWN_TOKENS)) - {None}
        self.dimensions = len(self._run(self._tokenizer.encode("").ids)[0])
        self.mean = mean_of(self)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return vectors of unit length, shape (len(texts), dimensions). Thread-safe."""
        return np.concatenate([self._vector(text) for text in texts])

    def can_read(self, text: str, /) -> bool:
        return text.isascii() or self._knows_a_word(self._encode(text))

    def close(self) -> None:
        pass

    def _vector(self, text: str) -> Vectors:
        encoding = self._encode(text)
        if text.isascii() or self._knows_a_word(encoding):
            return self._run(encoding.ids)
        return _vector_of_its_own(text, self.dimensions)

    def _encode(self, text: str) -> Encoding:
        return self._tokenizer.encode(text.lower() if self._is_lowercase else text)

    def _knows_a_word(self, encoding: Encoding) -> bool:
        if self._unknown.isdisjoint(encoding.ids):
            return True
        tokens = zip(encoding.ids, encoding.tokens, encoding.special_tokens_mask, strict=True)
        return any(
            token_id not in self._unknown and not is_special and any(map(str.isalnum, token))
            for token_id, token, is_special in tokens
        )

    def _run(self, token_ids: Sequence[int]) -> Vectors:
        (vector,) = self._session.run(["vector"], {"input_ids": np.array([token_ids], dtype=np.int64)})
        return np.asarray(vector, dtype=np.float32)


def _vector_of_its_own(text: str, dimensions: int) -> Vectors:
    """Return a vector that is near no other text's. To the model, all texts that it cannot read are the same."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    vector = np.random.default_rng(seed).standard_normal((1, dimensions), np.float32)
    return vector / np.linalg.norm(vector)


def _read_tokenizer(model: Exported) -> Tokenizer:
    """Raises ModelUnusable."""
    try:
        return Tokenizer.from_file(str(model.tokenizer))
    except Exception as error:  # noqa: BLE001 - the library raises nothing narrower
        reason = str(error).partition("\n")[0]
    raise ModelUnusable(
        f"The embedding model {model.name!r} cannot be loaded: its tokenizer.json is damaged ({reason})."
    )
