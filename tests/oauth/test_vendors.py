"""Well-known clients: from the challenge through registration and consent to the tools, and refreshes."""

import asyncio
import re

import httpx
import pytest

from tests.support.flows import EVERYDAY, RESOURCE, App, Person, bearer, tokens_of
from tests.support.hosts import Host
from tests.support.tables import rows
from tests.support.vendors import DOCUMENTS, REGISTERING, Vendor

JSON_RPC = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}


async def tools(client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    return await client.post("/mcp", json=LIST, headers=JSON_RPC | headers)


async def discover(client: httpx.AsyncClient) -> dict[str, str]:
    """Follow the challenge to the authorization server's metadata, as the MCP specification says."""
    challenge = (await tools(client, {})).headers["www-authenticate"]
    found = re.search(r'resource_metadata="([^"]+)"', challenge)
    assert found
    resource = (await client.get(found[1])).json()
    assert resource["resource"] == RESOURCE
    issuer: str = resource["authorization_servers"][0]
    metadata: dict[str, str] = (await client.get(f"{issuer}/.well-known/oauth-authorization-server")).json()
    assert metadata["issuer"] == issuer
    return metadata


async def known(client: httpx.AsyncClient, vendor: Vendor, host: Host, endpoint: str) -> App:
    """Return the client, known by its document or registered."""
    if vendor.uses_document:
        return App(client, host.publish(vendor.document_url, vendor.metadata), redirect_uri=vendor.redirect_uri)
    body = (await client.post(endpoint, json=vendor.metadata)).json()
    return App(client, body["client_id"], body.get("client_secret"), vendor.redirect_uri)


def in_the_body(app: App, vendor: Vendor) -> dict[str, str | None]:
    """Return the fields that a client adds when it authenticates in the body."""
    if vendor.metadata.get("token_endpoint_auth_method", "client_secret_post") != "client_secret_post":
        return {}
    secret, app.secret = app.secret, None
    return {"client_secret": secret}


@pytest.mark.settings(cimd_allow_private=True)
@rows("vendor", [*DOCUMENTS, *REGISTERING])
async def test_a_known_client_reaches_the_tools_and_refreshes(
    client: httpx.AsyncClient, ann: Person, host: Host, vendor: Vendor
) -> None:
    metadata = await discover(client)
    app = await known(client, vendor, host, metadata["registration_endpoint"])
    more = in_the_body(app, vendor)
    resource = RESOURCE if vendor.sends_resource else None
    code = await ann.allow(app.request(scope=vendor.scope, resource=resource))
    tokens = tokens_of(await app.redeem(code, resource=resource, **more))
    assert tokens.scope == EVERYDAY
    assert (await tools(client, bearer(tokens.access))).status_code == 200
    tokens = tokens_of(await app.refresh(tokens.refresh, resource=resource, **more))
    both = await asyncio.gather(*(app.refresh(tokens.refresh, resource=resource, **more) for _ in range(2)))
    for answer in both:
        listed = await tools(client, bearer(tokens_of(answer).access))
        assert listed.status_code == 200
        assert "search" in listed.text
