"""The commands on the API's page: every route has one, with a body that the route accepts."""

import html
import json
import re

import httpx

from tests.conftest import Tenant

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
