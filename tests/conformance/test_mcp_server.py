"""The official suite's scenarios for any MCP server, with both protocol revisions. `make conformance` installs it.

The suite cannot send a token, so something in front of the app adds an OAuth access token.
"""

import asyncio
import json
import socket
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.oauth.conftest import ann, hashed_password, make_person, notes, register
from tests.support.flows import App, Person
from tests.support.needs import find_node
from tests.support.served import listener, served, settings

pytestmark = pytest.mark.needs("conformance")
__all__ = ["ann", "hashed_password", "listener", "make_person", "notes", "register", "settings"]

MODULES = Path(__file__).parent / "node_modules"
SUITE = MODULES / "@modelcontextprotocol/conformance/dist/index.js"

LEGACY, MODERN = "2025-11-25", "2026-07-28"
SCENARIOS = [
    (LEGACY, "server-initialize"),
    (LEGACY, "ping"),
    (LEGACY, "tools-list"),
    (LEGACY, "resources-list"),
    (LEGACY, "prompts-list"),
    (LEGACY, "dns-rebinding-protection"),
    (MODERN, "server-stateless"),
    (MODERN, "tools-list"),
    (MODERN, "resources-list"),
    (MODERN, "prompts-list"),
    (MODERN, "sep-2164-resource-not-found"),
    (MODERN, "dns-rebinding-protection"),
    (MODERN, "caching"),
    (MODERN, "http-header-validation"),
    (MODERN, "server-sse-multiple-streams"),
    (MODERN, "input-required-result-unsupported-methods"),
]
# Checks that call diagnostic tools, which only a test server has: the suite says "Not testable" and fails them.
NOT_TESTABLE = {
    (MODERN, "server-stateless"): {
        "sep-2575-server-rejects-undeclared-capability",  # test_missing_capability
        "sep-2575-missing-capability-http-400",  # test_missing_capability
        "sep-2575-http-server-no-independent-requests-on-stream",  # test_streaming_elicitation
        "sep-2575-server-no-log-without-loglevel",  # test_logging_tool
    }
}


class WithToken:
    """Adds the credential to each request, since the suite cannot send one."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app = app
        self.header = (b"authorization", f"Bearer {token}".encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app({**scope, "headers": [*scope["headers"], self.header]}, receive, send)


@pytest.mark.parametrize(("revision", "scenario"), SCENARIOS)
async def test_the_server_conforms(
    app: ASGIApp, ann: Person, notes: App, listener: socket.socket, tmp_path: Path, revision: str, scenario: str
) -> None:
    token = (await notes.connect(ann, resource=None)).access
    async with served(WithToken(app, token), listener) as url:
        said = await run_suite(
            "--url",
            f"{url}/mcp",
            "--scenario",
            scenario,
            "--spec-version",
            revision,
            "--output-dir",
            str(tmp_path / "out"),
        )
    statuses = checks(tmp_path / "out")
    assert "SUCCESS" in statuses.values(), said
    failed = {name for name, status in statuses.items() if status not in ("SUCCESS", "INFO", "SKIPPED")}
    assert failed == NOT_TESTABLE.get((revision, scenario), set()), said


async def run_suite(*arguments: str) -> str:
    """Run the suite and return its output."""
    node = find_node()
    assert node
    suite = await asyncio.create_subprocess_exec(
        node, str(SUITE), "server", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await suite.communicate()
    return printed.decode()


def checks(folder: Path) -> dict[str, str]:
    """Return the worst status of each check, from the files that the suite wrote."""
    worst: dict[str, str] = {}
    order = ("INFO", "SKIPPED", "SUCCESS", "WARNING", "FAILURE")
    for file in folder.rglob("checks.json"):
        for check in json.loads(file.read_text("utf-8")):
            name, status = check["id"], check["status"]
            worst[name] = max(worst.get(name, status), status, key=order.index)
    return worst
