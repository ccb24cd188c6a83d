"""Reads a sentence model's folder, in the format of sentence-transformers: its pooling, prompts and limits."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from server.index.model.failures import ModelUnusable
from server.index.model.prompts import NO_PROMPTS, Prompts, prompts_of

ENCODERS = frozenset({"bert", "camembert", "distilbert", "mpnet", "roberta", "xlm-roberta"})
"""The `model_type`s that `onnx_export` understands."""

PADDED_POSITIONS = frozenset({"camembert", "mpnet", "roberta", "xlm-roberta"})
"""These models count positions from the padding token's number + 1, so their longest text is shorter by that much."""

POOLINGS = frozenset({"mean", "cls"})
_OLD_NAMES = {"pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean"}
DEFAULT_MAX_TOKENS = 512


class NotExportable(Exception):
    """The exporter does not support something that the model does. The message says what."""


@dataclass(frozen=True, slots=True)
class SentenceModel:
    """A sentence model in a folder. `pooling` is "mean" or "cls"; vectors are always normalized."""

    folder: Path
    pooling: str
    max_tokens: int
    is_lowercase: bool
    prompts: Prompts

    @property
    def tokenizer(self) -> Path:
        return self.folder / "tokenizer.json"

    def checksum(self) -> str:
        """Return the SHA-256 of everything that the export depends on."""
        digest = hashlib.sha256(self.pooling.encode())
        for file in (self.folder / "config.json", *_weights(self.folder)):
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        return digest.hexdigest()


def read(folder: Path, name: str) -> SentenceModel:
    """Return the model in `folder`, which is published under `name`. Raises NotExportable, ModelUnusable."""
    _require_whole(folder)
    config = _json(folder, "config.json")
    kind = config.get("model_type")
    if kind not in ENCODERS:
        raise NotExportable(f"it is a {kind} model")
    if not _weights(folder):
        raise NotExportable("it has no model.safetensors")
    if not (folder / "tokenizer.json").is_file():
        raise NotExportable("it has no tokenizer.json")
    encoder, pooling = _modules(folder)
    pooled = _json(folder, pooling, "config.json")
    prompts = prompts_of(_json(folder, "config_sentence_transformers.json"), name)
    if prompts != NO_PROMPTS and not pooled.get("include_prompt", True):
        raise NotExportable("it excludes its prompts from the mean")
    sentence = _json(folder, encoder, "sentence_bert_config.json")
    return SentenceModel(
        folder, _pooling(pooled), _max_tokens(folder, config, sentence), bool(sentence.get("do_lower_case")), prompts
    )


def _modules(folder: Path) -> tuple[str, str]:
    """Return the subfolders of the encoder and of the pooling. Raises NotExportable for any other module."""
    listed = _json_list(folder, "modules.json")
    kinds = [str(module.get("type")).rpartition(".")[2] for module in listed]
    paths = [str(module.get("path", "")) for module in listed]
    if not listed:
        return "", "1_Pooling"
    if kinds[:2] != ["Transformer", "Pooling"] or kinds[2:] not in ([], ["Normalize"]) or paths[0]:
        raise NotExportable(f"it consists of {', '.join(kinds)}")
    return paths[0], paths[1]


def _pooling(config: Mapping[str, object]) -> str:
    """Return the name of the pooling. Without a file it is the mean, as in sentence-transformers."""
    chosen = config.get("pooling_mode")
    if chosen is None:
        on = [_OLD_NAMES.get(key, key) for key, value in config.items() if key.startswith("pooling_mode_") and value]
        chosen = " and ".join(on) or "mean"
    if not isinstance(chosen, str) or chosen not in POOLINGS:
        raise NotExportable(f"its pooling is {chosen}")
    return chosen


def _max_tokens(folder: Path, config: Mapping[str, object], sentence: Mapping[str, object]) -> int:
    """Return how many tokens the model reads, including special ones."""
    positions = _number(config.get("max_position_embeddings"), DEFAULT_MAX_TOKENS)
    if config.get("model_type") in PADDED_POSITIONS:
        positions -= _number(config.get("pad_token_id"), 1) + 1
    tokenizer = _json(folder, "tokenizer_config.json")
    chosen = _number(sentence.get("max_seq_length"), _number(tokenizer.get("model_max_length"), positions))
    return max(min(chosen, positions), 3)


def _number(value: object, default: int) -> int:
    return value if isinstance(value, int) and value > 0 else default


def _weights(folder: Path) -> list[Path]:
    return sorted(folder.glob("model*.safetensors"))


def _json(folder: Path, *path: str) -> dict[str, object]:
    value = _parsed(folder, *path)
    return value if isinstance(value, dict) else {}


def _json_list(folder: Path, *path: str) -> list[dict[str, object]]:
    value = _parsed(folder, *path)
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _parsed(folder: Path, *path: str) -> object:
    """Return the content of the model's JSON file, or None if it is missing. Raises ModelUnusable if it is damaged."""
    file = folder.joinpath(*path)
    try:
        return json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        raise _damaged(folder, file) from None


def _require_whole(folder: Path) -> None:
    """Check for missing or damaged files, which is faster than trying to load them. Raises ModelUnusable."""
    if not any((folder / name).is_file() for name in ("config.json", "modules.json")):
        raise ModelUnusable(f"The embedding model {folder.name!r} cannot be loaded: it has no config.json.")
    for file in _weights(folder):
        try:
            safe_open(file, "numpy")
        except (SafetensorError, OSError):
            raise _damaged(folder, file) from None


def _damaged(folder: Path, file: Path) -> ModelUnusable:
    name = file.relative_to(folder).as_posix()
    return ModelUnusable(f"The embedding model {folder.name!r} cannot be loaded: its {name} is damaged.")
