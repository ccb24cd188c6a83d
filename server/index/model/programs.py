"""Runs the programs that prepare a model, each in a separate process, so that its memory is freed."""

import logging
import subprocess
import sys
from pathlib import Path

from server.index.model.failures import ModelUnusable

TIMEOUT_SECONDS = 900

log = logging.getLogger(__name__)


class ProgramFailed(Exception):
    """The program ended with an error. The message is its last line."""


def run_program(name: str, *arguments: str | Path) -> None:
    """Run a program of this folder. Raises ProgramFailed, and ModelUnusable if it takes too long."""
    command = [sys.executable, "-P", Path(__file__).with_name(name), *arguments]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)  # noqa: S603 - our own program
    except subprocess.TimeoutExpired:
        raise ModelUnusable(f"The embedding model was not prepared within {TIMEOUT_SECONDS} seconds.") from None
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or [f"exit status {error.returncode}"])[-1]
        raise ProgramFailed(last) from None


def export(source: Path, pooling: str, scratch: Path) -> None:
    """Write `exported.onnx` to the folder `scratch`. Raises ProgramFailed, ModelUnusable."""
    log.info("preparing the embedding model, once; this takes about a minute")
    run_program("onnx_export.py", source, pooling, scratch / "full.fp32", scratch / "exported.onnx")
