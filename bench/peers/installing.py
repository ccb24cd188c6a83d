"""Installs each peer into an environment of its own, outside the repository, once."""

import shutil
import subprocess
import sys
from pathlib import Path

from bench.server import ROOT

PYTHON_PACKAGES = {
    "mcp-memory-service": ("mcp-memory-service==12.4.0", "sentence-transformers", "torch"),
    "mem0ai": ("mem0ai==2.2.1", "chromadb", "sentence-transformers", "torch"),
    "script": ("chromadb", "sentence-transformers", "torch"),
}
"""Those without a version get that of constraints.txt, so that all run the model by the same code."""

NODE_PACKAGE = "@modelcontextprotocol/server-memory"
NODE_VERSION = "2026.8.31"
CAN_LOAD_EXTENSIONS = "import sqlite3; sqlite3.Connection.enable_load_extension"


class Missing(Exception):
    """The peer cannot be installed here."""


def python_of(name: str, folder: Path) -> Path:
    """Return the Python that has the peer. Raises Missing."""
    environment, packages = folder / name / "venv", _pinned(PYTHON_PACKAGES[name])
    done = environment / ".installed"
    if not done.exists() or done.read_text() != "\n".join(packages):
        base = _python_with_extensions() if name == "mcp-memory-service" else sys.executable
        _run(base, "-m", "venv", "--clear", str(environment))
        _run(str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", *packages)
        done.write_text("\n".join(packages))
    return environment / "bin" / "python"


def node_script(folder: Path) -> Path:
    """Return the script of the peer that runs in Node. Raises Missing."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Missing("node or npm is not installed")
    home = folder / "server-memory"
    script = home / "node_modules" / NODE_PACKAGE / "dist" / "index.js"
    if not script.exists():
        home.mkdir(parents=True, exist_ok=True)
        _run("npm", "--prefix", str(home), "install", "--no-audit", "--no-fund", f"{NODE_PACKAGE}@{NODE_VERSION}")
    return script


def _pinned(packages: tuple[str, ...]) -> list[str]:
    constraints = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    versions = dict(line.split("==") for line in constraints if "==" in line)
    return [package if "==" in package else f"{package}=={versions[package]}" for package in packages]


def _python_with_extensions() -> str:
    """Return a Python whose SQLite can load extensions, which mcp-memory-service needs."""
    for python in (sys.executable, "/usr/bin/python3", shutil.which("python3")):
        if (
            python
            and subprocess.run([python, "-c", CAN_LOAD_EXTENSIONS], capture_output=True, check=False).returncode == 0
        ):
            return python
    raise Missing("no Python here has a SQLite that loads extensions")


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = str(getattr(error, "stderr", None) or error).strip().splitlines()
        raise Missing(f"{' '.join(command[:4])} failed: {reason[-1]}") from None
