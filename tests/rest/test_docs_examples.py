"""The commands on the API's page: every route has one, with a body that the route accepts."""

import html
import json
import re

import httpx

from tests.conftest import Tenant
from tests.support.browsers import fresh, sign_in, sign_up

HERE = "http://localhost:8081"


async def test_the_first_command_stores_a_memory(client: httpx.AsyncClient, alice: Tenant) -> None:
    page = html.unescape((await client.get("/docs")).text)
    command = re.search(r"curl -X POST (\S+/api/memories) .*?-d '(.*?)'</code>", page, re.DOTALL)
    assert command
    assert command[1].startswith(HERE)
    stored = await client.post("/api/memories", json=json.loads(command[2]), headers=alice.auth)
    assert stored.status_code == 200, stored.text


async def test_reading_routes_are_tried_with_ones_own_session(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs")).text
    forms = re.findall(r'<form class="try" method="(\w+)" action="([^"]+)"', page)
    assert ("get", "/api/memories") in forms
    assert {method for method, _ in forms} == {"get"}


async def test_commands_with_a_session_take_the_cookie_of_a_sign_in(client: httpx.AsyncClient) -> None:
    page = html.unescape((await client.get("/docs")).text)
    assert f'curl {HERE}/api/organizations -H "Authorization: Session …"' in page
    cookie = re.search(r"value of the cookie <code>(\w+)</code>", page)
    assert cookie
    await sign_up(client)
    await sign_in(client)
    answer = await fresh(client).get(
        "/api/organizations", headers={"Authorization": f"Session {client.cookies[cookie[1]]}"}
    )
    assert answer.status_code == 200
