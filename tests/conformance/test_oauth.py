"""The official suite's authorization server scenario and third-party clients, over a real socket."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
import sqlalchemy as sa
from starlette.types import ASGIApp

from server.domain.grants import clients
from server.models import AccessToken
from server.models.base import now
from server.storage.database import Database
from tests.conformance.test_mcp_server import SUITE, checks
from tests.conftest import ORIGIN
from tests.oauth.conftest import ann, hashed_password, make_person
from tests.support.flows import EVERYDAY, Person, answer_of
from tests.support.needs import find_node
from tests.support.served import listener, listening, served, settings

pytestmark = pytest.mark.needs("conformance")
__all__ = ["ann", "hashed_password", "listener", "make_person", "settings"]

HERE = Path(__file__).parent
CALLBACK = "http://127.0.0.1:7777/callback"


@dataclass
class Program:
    """A client in its own process, which prints one JSON object per line."""

    process: asyncio.subprocess.Process

    async def read_object(self) -> dict[str, object]:
        assert self.process.stdout
        line = await self.process.stdout.readline()
        assert line, await self.errors()
        value: dict[str, object] = json.loads(line)
        return value

    async def errors(self) -> str:
        assert self.process.stderr
        return (await self.process.stderr.read()).decode()

    async def write_line(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n".encode())
        await self.process.stdin.drain()


@contextlib.asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[Program]:
    node = find_node()
    assert node
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(node, *arguments, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def allowed(person: Person, url: object) -> httpx.Response:
    """Allow a client's request, and return the redirect to the client."""
    page = await person.open(dict(parse_qsl(urlsplit(str(url)).query)))
    return await person.decide(page)


async def test_the_authorization_server_conforms(
    app: ASGIApp, ann: Person, database: Database, listener: socket.socket, tmp_path: Path
) -> None:
    with listening() as free:
        port = free.getsockname()[1]
    callback = f"http://127.0.0.1:{port}/callback"
    with database.write() as session:
        client_id = clients.configure(session, "Conformance", [callback], ORIGIN, is_confidential=False)[0].id
    async with served(app, listener) as url:
        given = ["--url", url, "--client-id", client_id, "-p", str(port), "--resource", f"{url}/mcp"]
        async with running(str(SUITE), "authorization", *given, "-o", str(tmp_path)) as suite:
            assert suite.process.stdout
            output = ""
            async for line in suite.process.stdout:
                output += line.decode()
                if f"{url}/oauth/authorize?" in output and output.endswith("\n"):
                    break
            link = next(word for word in output.split() if word.startswith(f"{url}/oauth/authorize?"))
            answer = await allowed(ann, link)
            async with httpx.AsyncClient() as browser:
                await browser.get(answer.headers["location"])
            output += (await suite.process.stdout.read()).decode()
            assert await suite.process.wait() == 0, output
    statuses = checks(tmp_path)
    assert "SUCCESS" in statuses.values(), output
    assert {name for name, status in statuses.items() if status in ("WARNING", "FAILURE")} == set(), output


async def test_the_typescript_sdk_connects_and_refreshes(
    app: ASGIApp, ann: Person, database: Database, listener: socket.socket
) -> None:
    async with served(app, listener) as url, running(f"{HERE}/mcp_client.mjs", f"{url}/mcp", CALLBACK) as client:
        answer = answer_of(await allowed(ann, (await client.read_object())["open"]))
        await client.write_line(answer["code"])
        listed = await client.read_object()
        assert {"search", "add_memory"} <= set(str(listed["tools"]).replace("'", "").strip("[]").split(", "))
        assert listed["scope"] == EVERYDAY
        with database.write() as session:
            session.execute(sa.update(AccessToken).values(expires_at=now()))
        await client.write_line("go on")
        assert await client.read_object() == {"failed": False, "refreshed": True}


async def test_a_strict_client_library_accepts_the_answers(app: ASGIApp, ann: Person, listener: socket.socket) -> None:
    async with served(app, listener) as url, running(f"{HERE}/strict_client.mjs", f"{url}/mcp", CALLBACK) as client:
        answer = await allowed(ann, (await client.read_object())["open"])
        await client.write_line(answer.headers["location"])
        assert await client.read_object() == {"scope": EVERYDAY, "status": 200, "active": True, "ended": False}
