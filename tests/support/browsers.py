"""HTTP clients that act like browsers without scripts, and the sign-up and sign-in forms."""

import httpx
from starlette.types import ASGIApp

from tests.conftest import ORIGIN

PASSWORD = "correct horse battery"
COOKIE = "ory_kratos_session"
FORMS = ("/sign-up", "/sign-in", "/forgot-password")


async def sign_up(client: httpx.AsyncClient, email: str = "ann@example.com", **more: str) -> httpx.Response:
    return await client.post("/sign-up", data={"email": email, "name": "Ann", "password": PASSWORD, **more})


async def sign_in(
    client: httpx.AsyncClient, email: str = "ann@example.com", password: str = PASSWORD
) -> httpx.Response:
    return await client.post("/sign-in", data={"email": email, "password": password})


def fresh(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """Return a client without cookies, for the same server."""
    return httpx.AsyncClient(transport=client._transport, base_url=ORIGIN)


def browser_at(app: ASGIApp, address: str = "127.0.0.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 1234))
    return httpx.AsyncClient(transport=transport, base_url=ORIGIN)
