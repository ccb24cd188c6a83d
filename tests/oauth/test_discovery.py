"""Requirements C1-C4, C13, C14 and 1-9: discovery and CORS."""

import httpx
import pytest

from tests.support.flows import ORIGIN, RESOURCE, App, Person, error_of
from tests.support.tables import rows

SERVER = "/.well-known/oauth-authorization-server"
PROTECTED = "/.well-known/oauth-protected-resource"
FORGED = {"Host": "localhost", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "gopher", "Forwarded": "host=e"}
ALLOWED = {
    "authorization", "content-type", "mcp-protocol-version", "mcp-method", "mcp-name", "mcp-session-id",
    "last-event-id",
}  # fmt: skip
EXPOSED = {"www-authenticate", "mcp-session-id", "mcp-protocol-version"}


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
async def test_c01_the_resource_asks_for_a_token_and_never_redirects(client: httpx.AsyncClient, path: str) -> None:
    for method in ("POST", "GET", "HEAD", "DELETE"):
        response = await client.request(method, path)
        assert response.status_code == 401
        assert response.headers["content-type"] == "application/json"
        challenge = response.headers["www-authenticate"]
        assert challenge.startswith("Bearer ")
        assert f'resource_metadata="{ORIGIN}{PROTECTED}/mcp"' in challenge
        assert 'scope="memories:read memories:write"' in challenge


async def test_c01_a_token_does_not_make_other_methods_work(client: httpx.AsyncClient, notes: App, ann: Person) -> None:
    token = (await notes.connect(ann)).access
    for method in ("GET", "DELETE", "HEAD"):
        for path in ("/mcp", "/mcp/"):
            response = await client.request(method, path, headers={"Authorization": f"Bearer {token}"})
            assert response.status_code == 405


async def test_c02_005_the_resource_names_itself_and_its_authorization_server(client: httpx.AsyncClient) -> None:
    issuer = (await client.get(SERVER)).json()["issuer"]
    for path in (PROTECTED, f"{PROTECTED}/mcp"):
        response = await client.get(path)
        assert response.status_code == 200
        document = response.json()
        assert document["resource"] == RESOURCE
        assert document["authorization_servers"] == [issuer]
        assert document["bearer_methods_supported"] == ["header"]
        assert "offline_access" not in document["scopes_supported"]


OPENID = "/.well-known/openid-configuration"


@rows("name", [SERVER, OPENID, PROTECTED])
@rows("address", ["{}", "{}/", "{}/mcp", "{}/mcp/", "/mcp{}"])
async def test_c03_009_every_alias_is_the_document(client: httpx.AsyncClient, name: str, address: str) -> None:
    path, foreign = address.format(name), {"Origin": "https://inspector.example"}
    document = (await client.get(PROTECTED if name == PROTECTED else SERVER)).json()
    if path == f"{PROTECTED}/mcp/":
        document["resource"] += "/"  # VS Code and others compare it with the URL that they have
    response = await client.get(path, headers=foreign)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.json() == document
    head = await client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == response.headers["content-length"]
    preflight = await client.options(path, headers=foreign)
    assert preflight.is_success
    assert preflight.headers["access-control-allow-origin"] == "*"


async def test_c03_openid_connect_clients_find_all_that_they_require(client: httpx.AsyncClient) -> None:
    document = (await client.get(OPENID)).json()
    assert document["subject_types_supported"] == ["public"]
    assert "RS256" in document["id_token_signing_alg_values_supported"]
    keys = await client.get(document["jwks_uri"], headers={"Origin": "https://inspector.example"})
    assert (keys.status_code, keys.json()) == (200, {"keys": []})
    assert keys.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("path", ["/.well-known/other", "/mcp/.well-known/other"])
async def test_c03_any_other_well_known_address_is_a_404_that_browsers_may_read(
    client: httpx.AsyncClient, path: str
) -> None:
    response = await client.get(path, headers={"Origin": "https://inspector.example"})
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/json"
    assert response.headers["access-control-allow-origin"] == "*"


@rows("path", ["authorize", "consent/request_x", "token", "register", "revoke", "introspect"])
async def test_every_endpoint_answers_options_and_head(client: httpx.AsyncClient, path: str) -> None:
    options = await client.options(f"/oauth/{path}")
    assert (options.status_code, options.content) == (204, b"")
    assert (await client.head(f"/oauth/{path}")).status_code in (400, 405)


async def test_c04_001_003_004_the_server_metadata_is_complete(client: httpx.AsyncClient) -> None:
    response = await client.get(SERVER)
    assert response.headers["content-type"] == "application/json"
    document = response.json()
    assert document["issuer"] == ORIGIN
    assert document["response_types_supported"] == ["code"]
    assert document["response_modes_supported"] == ["query"]
    assert document["grant_types_supported"] == ["authorization_code", "refresh_token"]
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert {"none", "client_secret_basic", "client_secret_post"} == set(
        document["token_endpoint_auth_methods_supported"]
    )
    assert document["client_id_metadata_document_supported"] is True
    assert document["authorization_response_iss_parameter_supported"] is True
    assert document["scopes_supported"] == ["memories:read", "memories:write", "offline_access"]


async def test_002_every_endpoint_in_the_metadata_exists(client: httpx.AsyncClient) -> None:
    document = (await client.get(SERVER)).json()
    endpoints = {name: url for name, url in document.items() if name.endswith("_endpoint")}
    assert len(endpoints) == 5
    for name, url in endpoints.items():
        assert url.startswith(f"{ORIGIN}/")
        method = "GET" if name == "authorization_endpoint" else "POST"
        assert (await client.request(method, url)).status_code not in (404, 405)


async def test_006_the_challenge_leads_to_the_resource_that_gave_it(client: httpx.AsyncClient) -> None:
    challenge = (await client.post("/mcp")).headers["www-authenticate"]
    url = challenge.partition('resource_metadata="')[2].partition('"')[0]
    assert (await client.get(url)).json()["resource"] == f"{ORIGIN}/mcp"


async def test_007_there_is_no_metadata_for_another_resource(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"{PROTECTED}/other")).status_code == 404


async def test_c14_008_a_forged_host_changes_no_url(client: httpx.AsyncClient, notes: App, ann: Person) -> None:
    for path in (SERVER, f"{PROTECTED}/mcp"):
        assert (await client.get(path, headers=FORGED)).json() == (await client.get(path)).json()
    challenge = (await client.post("/mcp", headers=FORGED)).headers["www-authenticate"]
    assert challenge == (await client.post("/mcp")).headers["www-authenticate"]
    ann.browser.headers.update(FORGED)
    page = await ann.open(notes.request())
    assert page.status_code == 200
    assert "evil" not in page.text
    assert "gopher" not in page.text


@rows("path", [SERVER, PROTECTED, "/oauth/register", "/oauth/token", "/oauth/revoke", "/mcp"])
async def test_c13_browsers_of_other_origins_may_read_what_clients_need(client: httpx.AsyncClient, path: str) -> None:
    headers = {"Origin": "http://localhost:8081", "Access-Control-Request-Method": "POST"}
    preflight = await client.options(path, headers=headers)
    assert preflight.is_success
    assert words(preflight.headers["access-control-allow-headers"]) >= ALLOWED
    refused = await client.post(path, headers={"Origin": "http://localhost:8081"})
    assert refused.status_code >= 400
    for response in (preflight, refused):
        assert response.headers["access-control-allow-origin"] in ("*", "http://localhost:8081")
        assert "access-control-allow-credentials" not in response.headers
    assert words(refused.headers["access-control-expose-headers"]) >= EXPOSED


def words(header: str) -> set[str]:
    return set(header.lower().replace(" ", "").split(","))


async def test_c13_clients_of_any_origin_may_register_and_get_tokens(client: httpx.AsyncClient) -> None:
    foreign = {"Origin": "https://inspector.example"}
    for path in ("/oauth/register", "/oauth/token", "/oauth/revoke"):
        response = await client.post(path, headers=foreign)
        error_of(response, response.status_code)
        assert response.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("path", ["/oauth/authorize", "/sign-in", "/oauth/consent/request_x", "/api/connections"])
async def test_c13_pages_and_cookies_have_no_cors(client: httpx.AsyncClient, path: str) -> None:
    for method in ("GET", "OPTIONS"):
        response = await client.request(method, path, headers={"Origin": "https://evil.example"})
        assert not [name for name in response.headers if name.startswith("access-control-")]
