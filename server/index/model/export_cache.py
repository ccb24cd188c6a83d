"""Keeps files exported from a model's weights. Each file's name has the checksums of the weights and of the file."""

import contextlib
import glob
import hashlib
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from server.index.model.failures import ModelUnusable

log = logging.getLogger(__name__)

SCRATCH = ".export-"
INTERRUPTED_SECONDS = 3600.0

Make = Callable[[Path], None]


def prepared(data_dir: Path, stem: str, weights: str, suffixes: Sequence[str], make: Make) -> list[Path]:
    """Return one checked file for each suffix. If one is missing, let `make` write all of them.

    `make` gets an empty folder and writes `exported` + suffix for each. The files are next to the installation, as in
    the container image, or in the data directory; a damaged one is deleted. Raises ModelUnusable.
    """
    folders = [Path(sys.prefix) / "share" / "selfmemory" / "models", data_dir / "models"]
    for folder in folders:
        files = [_whole(folder, stem, weights, suffix) for suffix in suffixes]
        if (whole := [file for file in files if file]) and len(whole) == len(suffixes):
            return whole
    return _make(folders, stem, weights, suffixes, make)


def _whole(folder: Path, stem: str, weights: str, suffix: str) -> Path | None:
    for file in sorted(folder.glob(_file_name(glob.escape(stem), weights, "*", suffix))):
        with contextlib.suppress(OSError):
            if file.is_file() and file.name == _file_name(stem, weights, sha256_of(file), suffix):  # no pipe
                return file
        log.warning("a prepared model was damaged", extra={"file": file.name})
        with contextlib.suppress(OSError):
            file.rmdir() if file.is_dir() and not file.is_symlink() else file.unlink()
    return None


def _file_name(stem: str, weights: str, sha256: str, suffix: str) -> str:
    return f"{stem}.{weights[:12]}.{sha256}{suffix}"


def _make(folders: Sequence[Path], stem: str, weights: str, suffixes: Sequence[str], make: Make) -> list[Path]:
    """Write the files to the first folder that is writable. Processes may do this at once: each writes its own."""
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _delete_interrupted(folder)
            scratch = tempfile.TemporaryDirectory(dir=folder, prefix=SCRATCH)
        except OSError:
            continue
        try:
            with scratch:
                make(Path(scratch.name))
                return [_keep(Path(scratch.name, f"exported{suffix}"), folder, stem, weights) for suffix in suffixes]
        except OSError as error:
            raise ModelUnusable(f"The embedding model cannot be prepared: {error.strerror}.") from error
    raise ModelUnusable("The embedding model cannot be prepared: its directories are not writable.")


def _delete_interrupted(folder: Path) -> None:
    """Delete the remains of exports whose processes were killed. Those of running processes are newer, and stay."""
    for scratch in folder.glob(f"{SCRATCH}*"):
        if time.time() - scratch.stat().st_mtime > INTERRUPTED_SECONDS:
            shutil.rmtree(scratch, ignore_errors=True)


def _keep(file: Path, folder: Path, stem: str, weights: str) -> Path:
    """Move the file to its final name and flush it to disk."""
    target = folder / _file_name(stem, weights, sha256_of(file), file.suffix)
    _sync(file)
    file.replace(target)
    _sync(folder)
    return target


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def require_checksum(file: Path, sha256: str, package: str) -> None:
    """Raises ModelUnusable unless the file is the one whose quality was measured."""
    if not file.is_file():
        raise ModelUnusable(f"The embedding model cannot be used: its file {file.name} is missing.")
    if sha256_of(file) != sha256:
        reason = f"its file {file.name} has a wrong checksum: install {package} again"
        raise ModelUnusable(f"The embedding model cannot be used: {reason}.")
