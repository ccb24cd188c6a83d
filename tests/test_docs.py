"""The documents are correct: settings and defaults, commands, links, version."""

import argparse
import re
import tomllib
from pathlib import Path

import pytest

from server import __version__
from server.__main__ import parser
from server.settings import Settings

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    *(ROOT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING", "SECURITY")),
    ROOT / "examples" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
# Defaults that depend on other settings, or on nothing being set, are said in words.
IN_WORDS = {
    "public_url": "`http://localhost:PORT`",
    "database_url": "SQLite in `DATA_DIR`",
    "secret_key": "created once, kept in `DATA_DIR`",
    "chroma_url": "unset",
    "chroma_token": "unset",
    "redis_url": "unset",
    "embedding_url": "unset",
    "embedding_key": "unset",
    "smtp_url": "unset",
    "metrics_token": "unset",
    "quota_memories": "unset",
    "quota_bytes": "unset",
    "oidc_issuer": "unset",
    "oidc_client_id": "unset",
    "oidc_client_secret": "unset",
    "oidc_name": "the host of `OIDC_ISSUER`",
    "allowed_hosts": "none",
    "allowed_origins": "none",
    "trusted_proxies": "none",
}


def documented_settings() -> dict[str, str]:
    """Name to default, from the tables of docs/configuration.md."""
    text = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    return {name.lower(): default for name, default in re.findall(r"^\| `([A-Z_]+)` \| (.+?) \|", text, re.MULTILINE)}


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def commands() -> set[str]:
    verbs = next(action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    return set(verbs.choices)


def test_the_settings_in_the_documents_are_all_settings_and_no_others() -> None:
    assert documented_settings().keys() == Settings.model_fields.keys()


def test_the_defaults_in_the_documents_are_the_defaults() -> None:
    fields = {name: field.default for name, field in Settings.model_fields.items()}
    said = {name: str(default).lower() if isinstance(default, bool) else default for name, default in fields.items()}
    assert documented_settings() == {name: IN_WORDS.get(name, f"`{default}`") for name, default in said.items()}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_the_commands_in_the_documents_exist(document: Path) -> None:
    text = document.read_text("utf-8")
    assert set(re.findall(r"`make ([a-z-]+)", text)) | set(re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)) <= (
        make_targets()
    )
    assert set(re.findall(r"python -m server ([a-z][a-z-]+)", text)) <= commands()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", document.read_text("utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_changelog_begins_with_what_is_unreleased_and_this_version() -> None:
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[:2] == ["Unreleased", __version__]


def test_the_version_is_written_down_once() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "version" not in pyproject["project"]
    assert pyproject["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "server.__version__"}


def test_the_tested_set_pins_what_the_project_asks_for() -> None:
    pins = {name.lower() for name in re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[\[<>=~ ]", requirement)[0].lower() for requirement in wanted}
    canonical = {re.sub(r"[-_.]+", "-", pin) for pin in pins}
    assert {name for name in names if name not in canonical} == set()
