"""The commands on the API's page: every route has one, with a body that the route accepts."""

import html
import json
import re
from typing import Any

import httpx
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships none

from rest.examples import example_of
from tests.conftest import Tenant

HERE = "http://localhost:8081"


async def test_every_example_is_a_body_that_its_schema_describes(client: httpx.AsyncClient) -> None:
    document: Any = (await client.get("/openapi.json")).json()
    count = 0
    for path, methods in document["paths"].items():
        for operation in methods.values():
            if "requestBody" in operation:
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                example = example_of(schema, document["components"]["schemas"])
                problems = list(Draft202012Validator({**document, **schema}).iter_errors(example))
                assert problems == [], (path, example)
                count += 1
    assert count > 15


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
