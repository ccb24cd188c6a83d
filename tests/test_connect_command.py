"""`python -m server connect`: what it prints, and what it changes in a client's configuration file."""

import json
import os
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.__main__ import main
from server.hashing import new_api_key

URL = "http://localhost:8081/mcp"
FILES = {
    "claude-code": ".claude.json",
    "claude-desktop": ".config/Claude/claude_desktop_config.json",
    "cursor": ".cursor/mcp.json",
    "vscode": ".config/Code/User/mcp.json",
    "codex": ".codex/config.toml",
    "gemini": ".gemini/settings.json",
    "opencode": ".config/opencode/opencode.json",
    "zed": ".config/zed/settings.json",
    "windsurf": ".codeium/windsurf/mcp_config.json",
    "cline": ".cline/data/settings/cline_mcp_settings.json",
    "goose": ".config/goose/config.yaml",
    "librechat": "librechat.yaml",
}
LOADERS: dict[str, Callable[[str], Any]] = {".json": json.loads, ".toml": tomllib.loads, ".yaml": yaml.safe_load}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_logging: None) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def entry_in(file: Path) -> Any:
    """Return the entry of this server, wherever it is in the file."""
    tree = LOADERS[file.suffix](file.read_text("utf-8"))
    return next(branch["selfmemory"] for branch in tree.values() if isinstance(branch, dict) and "selfmemory" in branch)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("client", ["cursor", "codex", "windsurf", "goose", "librechat"])
def test_the_instructions_name_the_file(client: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connect", client]) == 0
    assert Path(FILES[client]).name in capsys.readouterr().out


@pytest.mark.parametrize("client", FILES)
def test_write_puts_the_entry_where_the_client_reads_it(home: Path, client: str) -> None:
    key = new_api_key()
    assert main(["connect", client, "--write", "--key", key]) == 0
    file = home / FILES[client]
    assert f"Bearer {key}" in json.dumps(entry_in(file))
    assert URL in json.dumps(entry_in(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_bytes()
    assert main(["connect", client, "--write", "--key", f" {key}\n"]) == 0
    assert file.read_bytes() == before


@pytest.mark.parametrize("client", ["cursor", "codex", "goose", "librechat"])
def test_what_else_is_in_the_file_stays(home: Path, client: str) -> None:
    file = home / FILES[client]
    texts = {
        ".json": '{"theme": "dark", "mcpServers": {"other": {"url": "https://a.example"}}}',
        ".toml": 'model = "x"  # mine\n\n[mcp_servers.other]\nurl = "https://a.example"\n',
        ".yaml": "# mine\ntheme: dark\nextensions:\n  other:\n    uri: https://a.example\nlast: 1\n",
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(texts[file.suffix])
    file.chmod(0o644)
    assert main(["connect", client, "--write"]) == 0
    after = file.read_text()
    assert entry_in(file)
    assert "https://a.example" in after
    assert ("mine" in after) is (file.suffix != ".json")
    assert file.with_name(file.name + ".bak").read_text() == texts[file.suffix]
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


@pytest.mark.parametrize(
    ("client", "text"),
    [
        ("zed", '{\n  // mine\n  "theme": "dark"\n}'),
        ("cursor", '{"mcpServers": []}'),
        ("cursor", "[]"),
        ("cursor", '{"mcpServers": {"one": {}}, "mcpServers": {}}'),
        ("cursor", '{"theme": "\\ud800"}'),
        ("codex", '[mcp_servers.selfmemory]\nurl = "https://old.example/mcp"\n'),
        ("codex", "not toml"),
        ("goose", "extensions: {}\n"),
        ("goose", "a: [\n"),
        ("goose", "a: |+\n  kept\n\n"),
    ],
)
def test_a_file_that_would_lose_something_is_left_alone(
    home: Path, capsys: pytest.CaptureFixture[str], client: str, text: str
) -> None:
    file = home / FILES[client]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    assert main(["connect", client, "--write"]) == 1
    assert file.read_text() == text
    message = capsys.readouterr().err
    assert "Nothing was changed. Add this yourself, in place of an earlier entry of this name:" in message
    assert URL in message


def test_a_line_separator_in_a_value_stays(home: Path) -> None:
    file = home / FILES["codex"]
    file.parent.mkdir()
    file.write_text('theme = "a\u2028b"')
    assert main(["connect", "codex", "--write"]) == 0
    assert tomllib.loads(file.read_text())["theme"] == "a\u2028b"


def test_an_empty_place_for_the_entry_is_filled(home: Path) -> None:
    file = home / FILES["cursor"]
    file.parent.mkdir()
    file.write_text('{"mcpServers": null}')
    assert main(["connect", "cursor", "--write"]) == 0
    assert entry_in(file) == {"url": URL}


def test_an_entry_of_an_earlier_server_is_replaced(home: Path) -> None:
    file = home / FILES["cursor"]
    file.parent.mkdir()
    file.write_text('{"mcpServers": {"selfmemory": {"url": "https://old.example/mcp"}}}')
    assert main(["connect", "cursor", "--write"]) == 0
    assert entry_in(file) == {"url": URL}


@pytest.mark.parametrize("client", ["cursor", "codex", "goose"])
def test_what_a_person_added_to_the_entry_stays(home: Path, client: str) -> None:
    assert main(["connect", client, "--write"]) == 0
    file = home / FILES[client]
    own = {
        "cursor": (URL + '"', URL + '", "mine": 30'),
        "codex": (f'{URL}"', f'{URL}"\nmine = 30'),
        "goose": ("uri", "mine: 30\n    uri"),
    }
    file.write_text(file.read_text().replace(*own[client]))
    assert entry_in(file)["mine"] == 30
    before = file.read_bytes()
    assert main(["connect", client, "--write"]) == 0
    assert file.read_bytes() == before


def test_a_new_key_replaces_the_one_in_the_entry_and_nothing_else(home: Path) -> None:
    file, key = home / FILES["cursor"], new_api_key()
    file.parent.mkdir()
    entry = {"url": URL, "headers": {"X-Mine": "1", "authorization": "Bearer old"}, "autoApprove": ["search"]}
    file.write_text(json.dumps({"mcpServers": {"selfmemory": entry}}))
    assert main(["connect", "cursor", "--write", "--key", key]) == 0
    assert entry_in(file) == {**entry, "headers": {"X-Mine": "1", "Authorization": f"Bearer {key}"}}


@pytest.mark.parametrize("client", ["cursor", "codex", "goose"])
def test_a_file_of_windows_is_read_and_keeps_its_line_ends(home: Path, client: str) -> None:
    file = home / FILES[client]
    file.parent.mkdir(parents=True)
    text = {".json": '{"theme":\r\n 1}', ".toml": "theme = 1\r\n", ".yaml": "theme: 1\r\n"}[file.suffix]
    file.write_bytes(text.encode("utf-8-sig"))
    assert main(["connect", client, "--write"]) == 0
    assert URL in json.dumps(entry_in(file))
    assert LOADERS[file.suffix](file.read_text("utf-8"))["theme"] == 1
    assert b"\n" not in file.read_bytes().replace(b"\r\n", b"")


def test_a_linked_file_stays_a_link(home: Path) -> None:
    file, real = home / FILES["cursor"], home / "dotfiles.json"
    file.parent.mkdir()
    real.write_text("{}")
    os.symlink(real, file)
    assert main(["connect", "cursor", "--write"]) == 0
    assert file.is_symlink()
    assert entry_in(real) == {"url": URL}


def test_a_file_that_cannot_be_written_is_named_with_what_to_add(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a container, the server's user has no home folder, and the assistant reads other files."""
    (home / ".cursor").write_text("not a folder")
    assert main(["connect", "cursor", "--write"]) == 1
    message = capsys.readouterr().err
    assert f"{home / FILES['cursor']} cannot be written: " in message
    assert "Nothing was changed. Add this yourself, in place of an earlier entry of this name:" in message
    assert URL in message


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["open-webui", "--write"], "has no file to write to"),
        (["lm-studio", "--write"], "needs an API key"),
        (["chatgpt", "--key", new_api_key()], "ChatGPT signs in and takes no API key. Run this again without --key."),
    ],
)
def test_what_an_assistant_lacks_is_said(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    assert main(["connect", *arguments]) == 1
    assert reason in capsys.readouterr().err


def test_without_write_both_ways_are_printed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connect", "codex"]) == 0
    printed = capsys.readouterr()
    assert f"codex mcp add selfmemory --url {URL}" in printed.out
    assert "Bearer YOUR_API_KEY" in printed.out
    assert printed.err == ""
    key = new_api_key()
    assert main(["connect", "codex", "--key", key]) == 0
    assert f"Bearer {key}" in capsys.readouterr().out
    assert not list(home.iterdir())


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("client", "name", "scheme"),
    [("cursor", "Cursor", "cursor:"), ("vscode", "VS Code", "vscode:"), ("goose", "Goose", "goose:")],
)
def test_a_printed_link_is_opened_in_the_browser(
    client: str, name: str, scheme: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["connect", client]) == 0
    step = f"1. Open this link in your browser; {name} asks whether to install the server.\n     {scheme}"
    assert step in capsys.readouterr().out


@pytest.mark.usefixtures("home")
def test_a_link_with_a_key_is_printed_only_with_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    again = "run this again with --key KEY to get a link that installs the server."
    assert main(["connect", "lm-studio"]) == 0
    printed = capsys.readouterr().out
    assert again in printed
    assert "lmstudio:" not in printed
    assert main(["connect", "lm-studio", "--key", new_api_key()]) == 0
    printed = capsys.readouterr().out
    assert again not in printed
    assert "lmstudio:" in printed


@pytest.mark.parametrize("more", [[], ["--write"]])
@pytest.mark.parametrize(
    "spoil", [lambda _: "nonsense", lambda _: "", lambda key: key[:-1], lambda key: f"Bearer {key}"]
)
def test_a_key_of_a_wrong_form_is_refused(
    home: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[str], str], more: list[str]
) -> None:
    assert main(["connect", "cursor", "--key", spoil(new_api_key()), *more]) == 1
    printed = capsys.readouterr()
    assert printed.err == (
        "selfmemory: --key: this is not a complete API key: sk_im_ and 38 characters. "
        "`create-key` and the dashboard create one.\n"
    )
    assert printed.out == ""
    assert not list(home.iterdir())


def test_a_hosted_assistant_is_told_that_it_cannot_reach_this_computer(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["connect", "claude"]) == 0
    assert "set SELFMEMORY_PUBLIC_URL to a public https address" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        ("claude-code", '-H \\"X-API-Key: {key}\\" http://localhost:8081/api/memories/context'),
        ("cursor", "call the tool `context` of selfmemory"),
        ("codex", "call the tool `context` of selfmemory"),
    ],
)
def test_it_tells_how_a_conversation_begins_with_the_context(
    home: Path, capsys: pytest.CaptureFixture[str], client: str, expected: str
) -> None:
    key = new_api_key()
    assert main(["connect", client, "--key", key]) == 0
    assert expected.format(key=key) in capsys.readouterr().out
