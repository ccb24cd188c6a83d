"""Every example works against a running server."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.server_process import ROOT, run, started

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SAYS = {
    "rest_with_httpx": ["Added mem_", "Found ", "window seat", "2 versions", "answers 404: Memory not found."],
    "mcp_with_python_sdk": [
        "Tools: search, fetch, list_memories, context, add_memory",
        "Added mem_",
        "Found ",
        "walnuts",
        "Deleted mem_",
    ],
    "published_client": ["Added mem_", "Found ", "every Tuesday", "From today: 1", "Memory deleted successfully"],
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The two variables that an example reads, for a started server with one key."""
    folder = tmp_path_factory.mktemp("examples")
    with started(folder) as server:
        made = run(folder, "create-key", "--email", "ann@example.com")
        yield {"SELFMEMORY_URL": server.url, "SELFMEMORY_KEY": made.stdout.strip(), "HOME": str(folder / "home")}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_an_example_does_what_it_says_and_leaves_nothing_behind(example: Path, environment: dict[str, str]) -> None:
    ran = subprocess.run(
        [sys.executable, str(example)], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    for words in SAYS[example.stem]:
        assert any(words in line for line in lines), ran.stdout
    headers = {"Authorization": f"Bearer {environment['SELFMEMORY_KEY']}"}
    assert httpx.get(f"{environment['SELFMEMORY_URL']}/api/memories", headers=headers).json()["total"] == 0


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_an_example_is_short_and_says_how_to_run_it(example: Path) -> None:
    text = example.read_text("utf-8")
    assert len(text.splitlines()) <= 60
    assert f"SELFMEMORY_KEY=sk_im_… python examples/{example.name}" in text


def test_the_readme_names_every_example() -> None:
    text = (ROOT / "examples" / "README.md").read_text("utf-8")
    assert all(f"]({example.name})" in text for example in EXAMPLES)
