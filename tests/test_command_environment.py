"""Commands in an unusual environment, and what they need of it. Text in any encoding is read and written, or refused in
one sentence.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import Run, data_dir, run

__all__ = ["data_dir", "run"]

NOT_UTF8 = "\udce4bc"
"""The bytes E4 62 63 as Python reads them from the command line."""

SOURCES = Path(__file__).parents[1]
LATIN_1 = "pässwört lang genug\n".encode("latin-1")


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("create-user", "--email", "ann@example.com", "--password", NOT_UTF8 * 4), "--password"),
        (("create-client", "--name", NOT_UTF8, "--redirect-uri", "https://app.example.com/cb"), "--name"),
        (("create-client", "--name", "App", "--redirect-uri", NOT_UTF8), "--redirect-uri"),
        (("export", "--project", NOT_UTF8), "--project"),
        (("import", "--project", NOT_UTF8), "--project"),
        (("--host", NOT_UTF8), "--host"),
    ],
)
def test_an_argument_that_is_not_utf8_is_refused(
    run: Run, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], option: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    err = capfd.readouterr().err
    assert (ended.value.code, "Traceback" in err) == (2, False)
    assert option in err.splitlines()[-1]
    assert err.endswith("must be UTF-8 text\n")


def test_a_password_that_is_not_utf8_is_refused(run: Run) -> None:
    ran = run("create-user", "--email", "ann@example.com", "--password-stdin", given=LATIN_1)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines()[-1] == "selfmemory: password: must be UTF-8 text."


def test_a_file_may_have_any_name(run: Run, data_dir: Path) -> None:
    assert run("backup", f"{NOT_UTF8}.db").code == 0
    assert (data_dir.parent / f"{NOT_UTF8}.db").exists()


@pytest.mark.parametrize("arguments", ["connect claude-code", "connect lm-studio", "import --help", "doctor"])
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_output_fits_a_terminal_of_any_encoding(data_dir: Path, arguments: str, encoding: str) -> None:
    command = [sys.executable, "-m", "server", *arguments.split()]
    environment = {**os.environ, "SELFMEMORY_DATA_DIR": str(data_dir), "PYTHONIOENCODING": encoding}
    completed = subprocess.run(command, env=environment, cwd=SOURCES, capture_output=True)
    assert b"Traceback" not in completed.stderr
    assert completed.stdout


def test_a_python_without_docstrings_is_refused(data_dir: Path) -> None:
    command = [sys.executable, "-m", "server", "serve", "--port", "0"]
    environment = {**os.environ, "SELFMEMORY_DATA_DIR": str(data_dir), "PYTHONOPTIMIZE": "2"}
    refused = subprocess.run(command, env=environment, cwd=SOURCES, capture_output=True, text=True, timeout=60)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert refused.stderr.startswith("selfmemory: PYTHONOPTIMIZE must be at most 1")


IMPORTED = "import sys, {}; print(*(name for name in {!r} if name in sys.modules))"


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("server.__main__", ("pydantic", "sqlalchemy", "server.settings", "starlette", "asyncio")),
        (
            "server.commands.accounts",
            ("starlette", "server.app", "server.index", "mcp", "numpy", "onnxruntime", "httpx"),
        ),
    ],
)
def test_help_and_accounts_do_not_import_the_whole_server(module: str, heavy: tuple[str, ...]) -> None:
    command = [sys.executable, "-c", IMPORTED.format(module, heavy)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == []


def test_a_python_without_the_packages_says_how_to_start() -> None:
    """`-S` hides the installed packages, as the system's own Python does not have them."""
    command = [sys.executable, "-S", "-m", "server", "doctor"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env={}, cwd=SOURCES)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert re.fullmatch(r"selfmemory: this Python lacks the package '\w+'\. Run `make install` once, .+\n", ran.stderr)
