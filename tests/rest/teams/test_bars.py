"""The requirements R1-R35 of tests/requirements/bars.py that no other file tests."""

import asyncio
import json

import httpx
import pytest
import sqlalchemy as sa
from starlette.types import ASGIApp

from server.app import create_app
from server.buckets import Bucket
from server.domain.teams import invitations, organizations, projects
from server.settings import Settings
from server.shell.operations import LIMITS, Limit
from server.storage.database import Database
from tests.conftest import ORIGIN, Tenant
from tests.rest.conftest import Caller, said
from tests.support.fakes import WordEmbedder
from tests.support.served import listening, served
from tests.support.started import running
from tests.support.tables import rows
from tests.support.team import Team

pytestmark = pytest.mark.sqlite_only

INJECTIONS = (
    "'", '"', "%", "_", "\\", "' OR 1=1 --", '" OR ""="', "*", "NEAR(a b)", "body:x", "a AND (", "-", "; DROP TABLE x",
    "${jndi:ldap://x}", "../../etc/passwd", "\u202e", "$.a", "(((((", "{}", "null",
)  # fmt: skip


async def test_r03_lists_counts_and_searches_show_ones_own_alone(team: Team, alice: Tenant) -> None:
    await team["write_key"].add("The launch code is 0000.", metadata={"tags": "launch"})
    stranger = Caller(team["anonymous"].client, alice.auth)
    await stranger.add("My cat sleeps.")
    assert (await stranger.get("/api/memories")).json()["total"] == 1
    assert (await stranger.get("/api/memories/stats")).json() == {"total": 1, "this_week": 1, "tag_count": 0}
    assert await stranger.found("launch code", threshold=0) == ["My cat sleeps."]
    assert await stranger.found("launch", tags=["launch"]) == []
    assert (await team["outsider"].get("/api/projects")).json()["total_count"] == 1
    assert len((await team["outsider"].get("/api/organizations")).json()["organizations"]) == 1


async def test_r06_a_cursor_of_another_project_tells_nothing(team: Team, alice: Tenant) -> None:
    theirs = await team["write_key"].add("The team's own.")
    stranger = Caller(team["anonymous"].client, alice.auth)
    await stranger.add("My cat sleeps.")
    assert await stranger.listed(f"?before={theirs}") == []
    page = (await stranger.get("/api/memories?before=mem_" + "f" * 32)).json()
    assert [memory["content"] for memory in page["results"]] == ["My cat sleeps."]
    event = (await team["owner"].get(f"/api/organizations/{team.organization_id}/audit")).json()["events"]
    [own] = (await team["outsider"].get("/api/organizations")).json()["organizations"]
    before = event[0]["id"] if event else "evt_" + "f" * 32
    listed = (await team["outsider"].get(f"/api/organizations/{own['id']}/audit?before={before}")).json()["events"]
    assert {one["actor_id"] for one in listed} <= {team.ids["outsider"]}


async def test_r13_a_list_of_keys_shows_only_their_prefixes(team: Team) -> None:
    key = team["write_key"].headers["Authorization"].removeprefix("Bearer ")
    listed = await team["owner"].get(f"/api/projects/{team.project_id}/api-keys")
    assert {len(one["prefix"]) for one in listed.json()["api_keys"]} == {len("sk_im_") + 4}
    assert key[:11] not in listed.text
    assert "hash" not in listed.text


def test_r15_expensive_operations_are_rate_limited() -> None:
    assert LIMITS[organizations.create].bucket is Bucket.ORGANIZATION_CREATE
    assert LIMITS[projects.create].bucket is Bucket.PROJECT_CREATE
    assert LIMITS[invitations.invite] == LIMITS[invitations.invite_to_project] == Limit(Bucket.INVITATION)
    buckets = {limit.bucket for limit in LIMITS.values()}
    assert Bucket.REGISTRATION not in buckets  # the door counts it, because nobody is signed in yet


async def test_r16_a_forged_address_does_not_reset_a_limit(settings: Settings) -> None:
    limited = settings.model_copy(update={"rate_limit_enabled": True, "rate_limit_sign_in": "2/hour"})
    behind_proxy = limited.model_copy(update={"trusted_proxies": ("10.0.0.0/8",)})
    for given, peer, expected in (
        (limited, "203.0.113.9", [401, 401, 429, 429]),
        (behind_proxy, "10.0.0.1", [401] * 4),
        (behind_proxy, "::ffff:10.0.0.1", [401] * 4),
    ):
        async with running(create_app(given, lambda _settings: WordEmbedder())) as app:
            assert [await sign_in_from(app, peer, number) for number in range(4)] == expected


async def test_r16_an_ipv6_network_counts_as_one_address(settings: Settings) -> None:
    limited = settings.model_copy(update={"rate_limit_enabled": True, "rate_limit_sign_in": "2/hour"})
    peers = (
        "2001:db8::1",
        "2001:db8::2",
        "2001:db8::ffff:3",
        "2001:db8:0:1::1",
        "::ffff:192.0.2.1",
        "::ffff:192.0.2.2",
    )
    async with running(create_app(limited, lambda _settings: WordEmbedder())) as app:
        statuses = [await sign_in_from(app, peer, number) for number, peer in enumerate(peers)]
    assert statuses == [401, 401, 429, 401, 401, 401]


async def sign_in_from(app: ASGIApp, peer: str, number: int) -> int:
    """Return the status of a sign-in that claims to be forwarded for another address each time."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(peer, 1))
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        forwarded = {"X-Forwarded-For": f"evil, 198.51.100.{number}", "X-Real-IP": f"198.51.100.{number}"}
        fields = {"email": "ann@example.com", "password": "not this one"}
        return (await client.post("/sign-in", data=fields, headers=forwarded)).status_code


async def test_r23_a_request_from_another_site_cannot_use_the_cookie_for_changes(team: Team) -> None:
    cookie = {"Cookie": team["owner"].headers["Authorization"].replace("Session ", "ory_kratos_session=")}
    browser, key = Caller(team["anonymous"].client, cookie), team["write_key"]
    foreign: tuple[dict[str, str], ...] = (
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    )  # fmt: skip
    own: tuple[dict[str, str], ...] = ({}, {"Origin": ORIGIN}, {"Sec-Fetch-Site": "same-origin"})
    for headers in foreign:
        assert (await browser.post("/api/organizations", {"name": "Stolen"}, **headers)).status_code == 403, headers
        assert (await browser.send("DELETE", "/api/users/me", **headers)).status_code == 403, headers
        assert (await key.post("/api/memories", said("Tea."), **headers)).status_code == 200, headers
        assert (await browser.send("GET", "/api/users/me", **headers)).status_code == 200, headers
    for number, headers in enumerate(own):
        assert (await browser.post("/api/organizations", {"name": f"Own {number}"}, **headers)).status_code == 200
    as_text = {**cookie, "Content-Type": "text/plain"}
    posed = await browser.client.post("/api/organizations", content='{"name": "Posed"}', headers=as_text)
    assert posed.status_code == 415
    both = await browser.send("GET", "/api/users/me", Authorization="Bearer nonsense")
    assert both.status_code == 401  # the header decides


@rows("origin", ["https://evil.example", "null", ORIGIN + ".evil.example", "http://localhost"])
async def test_r24_no_other_origin_can_read_an_answer(team: Team, origin: str) -> None:
    for caller in ("owner", "read_key", "anonymous"):
        answer = await team[caller].send("GET", "/api/users/me", Origin=origin)
        assert not [name for name in answer.headers if name.startswith("access-control")]
    preflight = await team["anonymous"].send(
        "OPTIONS", "/api/users/me", Origin=origin, Access_Control_Request_Method="GET"
    )
    assert not [name for name in preflight.headers if name.startswith("access-control")]


async def test_r25_every_answer_has_security_headers_and_hides_the_server(team: Team) -> None:
    for path in ("/api/users/me", "/api/nowhere", "/api/memories/mem_x"):
        answer = await team["owner"].get(path)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert "server" not in answer.headers
    assert (await team["owner"].send("TRACE", "/api/users/me")).status_code == 405


async def test_r25_an_error_of_ours_says_no_more_than_its_request_id(team: Team, database: Database) -> None:
    with database.write() as session:
        session.execute(sa.text("""UPDATE api_keys SET permissions = '{"broken'"""))
    answer = await team["read_key"].get("/api/memories")
    assert answer.status_code == 500
    detail = answer.json().pop("detail")
    assert answer.headers["X-Request-ID"] in detail
    assert not [word for word in ("Traceback", "Error", "broken", "json", ".py", "sqlite") if word in detail]


async def test_r27_injected_text_stays_text(team: Team) -> None:
    for text in INJECTIONS:
        await assert_is_text(team, text)


async def assert_is_text(team: Team, text: str) -> None:
    owner, project = team["owner"], f"project_id={team.project_id}"
    await team["write_key"].add(f"said {text}", metadata={"tags": text, text: text, "topic_category": text})
    answers = [
        await owner.post(f"/api/memories/search?{project}", {"query": text, "filters": {"metadata": {text: text}}}),
        await owner.send("GET", str(httpx.URL("/api/memories", params={"project_id": team.project_id, "tags": text}))),
        await owner.send("GET", str(httpx.URL("/api/memories", params={"project_id": text}))),
        await owner.get(f"/api/projects/{text.replace('/', '%2F').replace('?', '')}"),
        await owner.post("/api/organizations", {"name": text}),
        await owner.post(f"/api/organizations/{team.organization_id}/invitations", {"email": text, "role": "member"}),
        await owner.post(f"/api/projects/{team.project_id}/members", {"user_id": text, "role": "viewer"}),
    ]
    assert max(answer.status_code for answer in answers) < 500, text
    assert answers[0].json()["results"][0]["content"] == f"said {text}"


@rows("text", ["\0", "a\0b"])
async def test_r27_text_that_cannot_be_stored_is_refused(team: Team, text: str) -> None:
    bodies = {
        "/api/organizations": {"name": text},
        f"/api/projects/{team.project_id}/api-keys": {"name": text},
        f"/api/projects/{team.project_id}/members": {"user_id": text, "role": "viewer"},
        f"/api/organizations/{team.organization_id}/invitations": {"email": text, "role": "member"},
    }
    for path, body in bodies.items():
        assert (await team["owner"].post(path, body)).status_code == 400, path
    assert (await team["owner"].get("/api/projects/a%00b")).status_code in (400, 404)
    assert (await team["owner"].get("/api/invitations/a%00b")).status_code in (400, 404)
    assert (await team["owner"].get("/api/memories?project_id=a%00b")).status_code == 400


async def test_r31_a_name_is_shown_as_text(client: httpx.AsyncClient) -> None:
    fields = {"email": "x@example.com", "name": "<script>alert(1)</script>", "password": "correct horse"}
    await client.post("/sign-up", data=fields)
    organization_id = (await client.post("/api/organizations", json={"name": "Lab"})).json()["id"]
    body = {"email": "y@example.com", "role": "member"}
    sent = (await client.post(f"/api/organizations/{organization_id}/invitations", json=body)).json()
    page = (await client.get(f"/accept-invitation/{sent['token']}")).text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page


@rows("name", ["Ann\u202elive", "a\u200bb", "\u2066x", "a\x07b"])
async def test_r33_a_name_cannot_hold_invisible_characters(client: httpx.AsyncClient, team: Team, name: str) -> None:
    fields = {"email": f"{ord(name[1])}@example.com", "name": name, "password": "correct horse"}
    assert (await client.post("/sign-up", data=fields)).status_code == 400
    assert (await client.post("/sign-up", data=fields | {"name": "می\u200cخواهم"})).status_code == 303
    for path in ("/api/organizations", f"/api/projects/{team.project_id}/api-keys"):
        assert (await team["owner"].post(path, {"name": name})).status_code == 400


async def test_r34_a_request_with_two_lengths_is_refused(app: ASGIApp) -> None:
    with listening() as listener:
        async with served(app, listener):
            heads = (
                "Content-Length: 5\r\nContent-Length: 6\r\n",
                "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            )
            answers = [await raw(listener.getsockname()[1], head) for head in heads]
    assert all(answer.startswith(b"HTTP/1.1 4") for answer in answers), answers


async def raw(port: int, head: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"POST /api/organizations HTTP/1.1\r\nHost: localhost\r\n{head}\r\n{{}}xyz".encode())
    writer.write_eof()
    answer = await reader.readline()
    writer.close()
    return answer


async def test_r35_a_deleted_memory_is_in_no_answer(team: Team) -> None:
    memory_id = await team["write_key"].add("The zebra is called Otto.")
    await team["write_key"].put(f"/api/memories/{memory_id}", {"text": "The zebra is called Anna."})
    await team["write_key"].delete(f"/api/memories/{memory_id}")
    answers = [
        await team["read_key"].get("/api/memories"),
        await team["read_key"].get(f"/api/memories/{memory_id}/history"),
        await team["read_key"].post("/api/memories/search", {"query": "zebra"}),
        await team["owner"].get(f"/api/organizations/{team.organization_id}/audit"),
    ]
    assert "zebra" not in json.dumps([answer.text for answer in answers])
    assert (await team["write_key"].post("/api/memories", said("Another."))).status_code == 200
