"""The OpenAPI document is complete and valid, and answers match it."""

import itertools
import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships none

from rest.openapi import FAILURES
from rest.routes import ENDPOINTS
from tests.conftest import Tenant
from tests.rest.conftest import Caller, said

pytestmark = pytest.mark.sqlite_only

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


async def test_r29_every_route_is_described_once(document: dict[str, Any]) -> None:
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    names = [operation["operationId"] for operation in operations]
    assert sorted(set(names)) == sorted(names)
    assert all(operation["summary"].endswith(".") for operation in operations)
    assert document["openapi"].startswith("3.1")
    tags = [tag["name"] for tag in document["tags"]]
    assert set(tags) == {tag for operation in operations for tag in operation["tags"]}
    assert len(set(tags)) == len(tags)


async def test_every_reference_resolves_and_every_schema_is_valid(document: dict[str, Any]) -> None:
    for reference in re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)):
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


async def test_a_default_is_said_in_words_and_is_a_value_that_its_field_may_have(document: dict[str, Any]) -> None:
    said_in_words = 0
    for name, schema in document["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            assert "default" not in described, (name, field)
            default = re.search(r"\(default `(.*)`\)$", described.get("description", ""))
            if default and "$ref" not in json.dumps(described):
                assert Draft202012Validator(described).is_valid(json.loads(default[1])), (name, field)
            said_in_words += default is not None
    assert said_in_words >= 20


async def test_every_body_has_an_example(document: dict[str, Any]) -> None:
    examples = {}
    for methods in document["paths"].values():
        for operation in methods.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                examples[operation["operationId"]] = content["example"]
                schema = {**document, **content["schema"]}
                assert Draft202012Validator(schema).is_valid(content["example"]), operation["operationId"]
    assert "Alice" in json.dumps(examples["memories_create"])
    assert len(examples) > 15


async def test_every_way_to_send_a_credential_is_a_security_scheme(
    client: httpx.AsyncClient, document: dict[str, Any]
) -> None:
    schemes = document["components"]["securitySchemes"]
    header = {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "an API key"}
    assert schemes["api_key"] == header
    assert {"api_key": []} in document["paths"]["/api/memories"]["post"]["security"]
    for methods in document["paths"].values():
        for operation in methods.values():
            assert {name for one in operation["security"] for name in one} <= schemes.keys()
    (metadata,) = re.findall(r"`(/\.well-known/[^`]+)`", document["info"]["description"])
    assert (await client.get(metadata)).json()["token_endpoint"].endswith("/oauth/token")


async def test_endpoints_with_a_credential_document_their_failures(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            statuses = set(operation["responses"])
            assert {int(status) for status in statuses} <= {200, *FAILURES}
            assert ("401" in statuses) == bool(operation["security"]), path
            assert ("413" in statuses) == ("requestBody" in operation or method in ("put", "delete")), path
            assert method in METHODS
    limited = {
        path for path, methods in document["paths"].items() for one in methods.values() if "429" in one["responses"]
    }
    assert {"/api/memories", "/api/memories/batch", "/api/memories/search"} <= limited


async def test_path_parameters_are_those_of_the_path(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            named = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path))


async def test_answers_are_as_described(api: Caller, document: dict[str, Any]) -> None:
    memory_id = await api.add("here", metadata={"tags": "a"}, user_id="u")
    await api.post("/api/memories", {"messages": said("x")["messages"] * 2})  # type: ignore[operator]  # a list
    for method, path, body in (
        ("POST", "/api/memories", said("x")),
        ("GET", "/api/memories", None),
        ("POST", "/api/memories/batch", {"memories": [said("x")]}),
        ("POST", "/api/memories/search", {"query": "here", "filters": {"explain": True}}),
        ("GET", "/api/memories/stats", None),
        ("GET", "/api/memories/{memory_id}", None),
        ("PUT", "/api/memories/{memory_id}", {"text": "there"}),
        ("GET", "/api/memories/{memory_id}/history", None),
        ("POST", "/v1/memories/tag-search/", {"tags": "a"}),
        ("GET", "/v1/health", None),
        ("DELETE", "/api/memories/{memory_id}", None),
        ("DELETE", "/api/memories", None),
    ):
        answer = await api.send(method, path.format(memory_id=memory_id), body)
        described = document["paths"][path][method.lower()]["responses"][str(answer.status_code)]
        schema = described["content"]["application/json"]["schema"] | {"components": document["components"]}
        Draft202012Validator(schema).validate(answer.json())


async def test_failures_are_as_described(api: Caller, document: dict[str, Any]) -> None:
    error = document["components"]["schemas"]["Error"]
    for answer in (
        await api.post("/api/memories", {}),
        await api.client.get("/api/memories"),
        await api.get("/api/memories/mem_nothere"),
        await api.get("/api/nothing"),
        await api.send("PATCH", "/api/memories"),
    ):
        Draft202012Validator(error).validate(answer.json())
        assert answer.headers["x-request-id"]


async def test_refusals_of_what_a_route_does_not_take_are_documented(
    api: Caller, signed_in: Callable[[Tenant], Caller], alice: Tenant, document: dict[str, Any]
) -> None:
    contents = {b'{"unknown": 1}': "application/json", b"[" * 200_000: "application/json", b"text": "text/plain"}
    for endpoint, caller in itertools.product(ENDPOINTS, (api, signed_in(alice))):
        documented = document["paths"][endpoint.path][endpoint.method.lower()]["responses"]
        path = re.sub(r"{\w+}", "unknown", endpoint.path)
        answers = [await caller.send(endpoint.method, f"{path}?unknown=1")]
        for content, media in contents.items():
            headers = caller.headers | {"Content-Type": media}
            answers.append(await caller.client.request(endpoint.method, path, headers=headers, content=content))
        assert {str(answer.status_code) for answer in answers} <= set(documented), endpoint.name


async def test_the_page_shows_every_route_without_script_or_another_host(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "<script" not in answer.text
    assert " style=" not in answer.text
    assert not re.findall(r'(?:src|href)="(?!/|#)', answer.text)
    for endpoint in ENDPOINTS:
        assert f">{endpoint.path}<" in answer.text
    for anchor in re.findall(r'href="#([^"]+)"', answer.text):
        assert f'id="{anchor}"' in answer.text
    assert answer.text.count("<h3>Example</h3>") == len(ENDPOINTS)
    style = await client.get("/docs.css")
    assert style.headers["content-type"].startswith("text/css")
    assert "light-dark(" in style.text
    assert "color-scheme: dark;" not in style.text
    chosen = await client.get("/docs.css", headers={"Cookie": "theme=dark"})
    assert "color-scheme: dark;" in chosen.text
