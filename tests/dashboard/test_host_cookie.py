"""A session cookie with the prefix __Host- is set and deleted as browsers require it (RFC 6265bis section 4.1.3.2)."""

import httpx

from server.app import create_app
from server.settings import Settings
from tests.support.fakes import WordEmbedder
from tests.support.started import running

URL = "https://memory.example.com"
NAME = "__Host-selfmemory"


def attributes(response: httpx.Response) -> set[str]:
    (cookie,) = [value for value in response.headers.get_list("set-cookie") if value.startswith(f"{NAME}=")]
    return {attribute.strip().lower() for attribute in cookie.split(";")[1:]}


async def test_a_cookie_with_the_host_prefix_belongs_to_this_host_alone(settings: Settings) -> None:
    public = settings.model_copy(update={"public_url": URL, "session_cookie": NAME})
    async with running(create_app(public, lambda _settings: WordEmbedder())) as app:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=URL, headers={"Origin": URL}) as client:
            form = {"email": "ann@example.com", "name": "Ann", "password": "correct horse battery"}
            signed_up = await client.post("/sign-up", data=form)
            inside = await client.get("/dashboard")
            signed_out = await client.post("/sign-out")
    assert inside.status_code in (200, 303)
    assert "/sign-in" not in inside.headers.get("location", "")
    for response in (signed_up, signed_out):
        assert {"secure", "path=/", "httponly"} <= attributes(response)
        assert not any(attribute.startswith("domain") for attribute in attributes(response))
