"""The MCP Python SDK's own OAuth client against a real socket: registration, step-up, refresh, revocation."""

import socket
from urllib.parse import parse_qsl, urlsplit

import httpx
import httpx2
from mcp.client import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl
from starlette.types import ASGIApp

from server.models import ProjectMember, ProjectRole
from server.storage.database import Database
from tests.oauth.test_pages import share
from tests.support.flows import CALLBACK, EVERYDAY, Person, answer_of
from tests.support.served import listener, served, settings

__all__ = ["listener", "settings"]

READING_TOOLS = {"search", "fetch", "list_memories", "context"}


class Kept:
    """The SDK's token storage, in memory."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class Opening:
    """The SDK's redirect handler: the person allows every request, for one project."""

    def __init__(self, person: Person, project_id: str, database: Database) -> None:
        self.person, self.project_id, self.database = person, project_id, database
        self.asked: list[str] = []
        self._answer: dict[str, str] = {}

    async def redirect(self, url: str) -> None:
        parameters = dict(parse_qsl(urlsplit(url).query))
        self.asked.append(parameters["scope"])
        if len(self.asked) > 1:  # an admin has raised the person's role
            with self.database.write() as session:
                member = session.get_one(ProjectMember, (self.project_id, self.person.user_id))
                member.role = ProjectRole.EDITOR
        page = await self.person.open(parameters)
        self._answer = answer_of(await self.person.decide(page, project_id=self.project_id))

    async def callback(self) -> AuthorizationCodeResult:
        return AuthorizationCodeResult(**self._answer)


async def revoke(rest: httpx.AsyncClient, kept: Kept) -> None:
    assert kept.tokens is not None
    assert kept.client is not None
    ended = {"token": kept.tokens.refresh_token, "client_id": kept.client.client_id}
    assert (await rest.post("/oauth/revoke", data=ended)).status_code == 200


async def test_the_sdk_registers_steps_up_refreshes_and_revokes(
    app: ASGIApp, ann: Person, ben: Person, database: Database, listener: socket.socket
) -> None:
    share(database, ann, ben, ProjectRole.VIEWER)
    kept, opening = Kept(), Opening(ben, ann.project_id, database)
    metadata = OAuthClientMetadata(
        client_name="SDK", redirect_uris=[AnyUrl(CALLBACK)], token_endpoint_auth_method="none",
        grant_types=["authorization_code", "refresh_token"],
    )  # fmt: skip
    async with served(app, listener) as url, httpx.AsyncClient(base_url=url) as rest:
        provider = OAuthClientProvider(f"{url}/mcp", metadata, kept, opening.redirect, opening.callback)
        async with (
            httpx2.AsyncClient(auth=provider) as transport,
            Client(streamable_http_client(f"{url}/mcp", http_client=transport)) as client,
        ):
            assert {tool.name for tool in (await client.list_tools()).tools} == READING_TOOLS
            assert kept.tokens is not None
            assert kept.tokens.scope == "memories:read"

            added = await client.call_tool("add_memory", {"content": "Anna is allergic to walnuts."})
            assert not added.is_error
            assert [set(scope.split()) for scope in opening.asked] == [{*EVERYDAY.split(), "offline_access"}] * 2
            first = kept.tokens
            assert first.scope == EVERYDAY

            provider.context.token_expiry_time = 1
            found = await client.call_tool("search", {"query": "walnuts"})
            assert not found.is_error
            assert kept.tokens.refresh_token not in (None, first.refresh_token)
            assert len(opening.asked) == 2

        await revoke(rest, kept)
        headers = {"Authorization": f"Bearer {kept.tokens.access_token}"}
        assert (await rest.get("/api/memories", headers=headers)).status_code == 401
