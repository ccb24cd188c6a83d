"""Schemathesis sends requests made from the OpenAPI document. No answer is a 5xx, and each is documented."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.types import ASGIApp

from server.domain.people import sessions
from server.domain.people.sessions import BrowserInfo
from server.models import User
from server.storage.database import Database
from tests.conftest import Tenant
from tests.support.served import listening, served

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "unsupported_method",
    "ignored_auth",
)


@pytest.fixture
def session_value(alice: Tenant, database: Database) -> str:
    with database.write() as session:
        return sessions.begin(session, session.get_one(User, alice.user_id), BrowserInfo(days=1))


async def test_every_answer_to_a_signed_in_person_is_documented(
    app: ASGIApp, session_value: str, tmp_path: Path
) -> None:
    await assert_clean(app, f"Session {session_value}", "coverage,fuzzing", tmp_path)


async def test_every_answer_to_a_program_is_documented(app: ASGIApp, alice: Tenant, tmp_path: Path) -> None:
    await assert_clean(app, f"Bearer {alice.key}", "fuzzing", tmp_path)


async def test_every_answer_without_a_credential_is_documented(app: ASGIApp, tmp_path: Path) -> None:
    await assert_clean(app, "", "fuzzing", tmp_path)


async def assert_clean(app: ASGIApp, credential: str, phases: str, folder: Path) -> None:
    with listening() as listener:
        async with served(app, listener) as url:
            completed = await asyncio.to_thread(run, url, credential, phases, folder)
    assert completed.returncode == 0, completed.stdout[-6000:] + completed.stderr[-2000:]


def run(url: str, credential: str, phases: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Test every operation except deleting the own account, after which every answer would be 401."""
    command = [
        str(Path(sys.executable).parent / "schemathesis"), "run", f"{url}/openapi.json", "--url", url,
        *(["--header", f"Authorization: {credential}"] if credential else []), "--checks", ",".join(CHECKS),
        "--exclude-operation-id", "users_delete_me", "--phases", phases, "--max-examples", "4", "--seed", "1",
        "--suppress-health-check", "all", "--warnings", "off", "--no-color",
    ]  # fmt: skip
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
