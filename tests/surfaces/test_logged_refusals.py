"""The log says who was refused, from where and why, without addresses of people or secrets."""

import logging
import sqlite3

import pytest
import sqlalchemy as sa
from sqlmodel import col
from starlette.types import ASGIApp

from server.hashing import new_api_key, token_hash
from server.logs import client_address
from server.models import ApiKey
from server.models.base import now
from server.settings import Settings
from server.storage.database import Database
from tests.support.browsers import COOKIE, PASSWORD, browser_at, sign_in, sign_up
from tests.support.tenants import Tenant

ANN = "ann@example.com"
ADDRESS = "203.0.113.7"
Lines = list[tuple[str, dict[str, object]]]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    limits = {"rate_limit_sign_in": "2/hour", "rate_limit_memory_add": "1/hour"}
    return settings.model_copy(update={"rate_limit_enabled": True, **limits})


def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    names = ("address", "user_id", "reason", "credential_id", "status", "limit")
    return [
        (record.getMessage(), {name: value for name, value in vars(record).items() if name in names})
        for record in caplog.records
    ]


def lose_the_disk(connection: sa.Connection) -> None:
    """Fail a commit of a request. The index goes on."""
    if client_address.get():
        connection.connection.rollback()
        raise sa.exc.OperationalError("COMMIT", {}, sqlite3.OperationalError("disk I/O error"))


async def test_the_log_tells_of_sign_ins_that_fail(app: ASGIApp, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("server", "rest"):
        caplog.set_level(logging.INFO, name)
    async with browser_at(app, "198.51.100.1") as ann, browser_at(app, ADDRESS) as stranger:
        await sign_up(ann)
        user_id = (await ann.get("/api/users/me")).json()["id"]
        caplog.clear()
        for _ in range(3):
            await sign_in(stranger, password="not the password")
        await sign_in(stranger, "nobody@example.com")
        logged = lines(caplog)
        wrong = ("account.sign_in_failed", {"user_id": user_id, "reason": "wrong_password", "address": ADDRESS})
        assert logged.count(wrong) == 2
        assert logged.count(("rate limited", {"limit": "sign_in"})) == 1
        assert ("account.sign_in_failed", {"reason": "no_account", "address": ADDRESS}) in logged
        requests = [fields for event, fields in logged if event == "request"]
        assert requests == [{"status": status, "address": ADDRESS} for status in (401, 401, 429, 401)]

        caplog.clear()
        fields = {"current_password": "not the password", "new_password": "another long password"}
        refused = await ann.post("/dashboard/account/password", data=fields, headers={"Origin": str(ann.base_url)})
        assert refused.status_code == 400
        assert ("request", {"status": 400, "address": "198.51.100.1", "user_id": user_id}) in lines(caplog)

        caplog.clear()
        assert (await sign_in(ann)).status_code == 303
        assert ("account.signed_in", {"user_id": user_id, "address": "198.51.100.1"}) in lines(caplog)
        assert ("request", {"status": 303}) in lines(caplog)
        for secret in (ANN, PASSWORD, ann.cookies[COOKIE]):
            assert secret not in caplog.text

        sa.event.listen(sa.Engine, "commit", lose_the_disk)
        assert (await ann.post("/sign-out", headers={"Origin": str(ann.base_url)})).status_code == 503
        sa.event.remove(sa.Engine, "commit", lose_the_disk)
        assert "account.signed_out" not in caplog.text


async def test_the_log_names_the_limit_once_for_each_refusal(
    app: ASGIApp, alice: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "server")
    async with browser_at(app) as client:
        client.headers["Authorization"] = f"Bearer {alice.key}"
        statuses = [(await client.post("/api/memories", json={"content": "Tea."})).status_code for _ in range(3)]
        call = {"name": "add_memory", "arguments": {"content": "Milk."}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
        told = (await client.post("/mcp", json=body)).text
    assert (statuses, "Too many requests" in told) == ([200, 429, 429], True)
    assert lines(caplog).count(("rate limited", {"limit": "memory_add"})) == 3


async def test_the_log_says_why_a_key_or_token_was_refused(
    app: ASGIApp, database: Database, alice: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "server")
    with database.write() as session:
        key = session.scalars(sa.select(ApiKey).where(col(ApiKey.token_hash) == token_hash(alice.key))).one()
        key.expires_at, key_id = now(), key.id
    refused = {
        f"Bearer {alice.key}": {"reason": "expired", "credential_id": key_id},
        f"Bearer {alice.key[:-1]}": {"reason": "mistyped"},
        f"Bearer {new_api_key()}": {"reason": "unknown_key"},
        "Bearer no-token": {"reason": "unknown_token"},
        "Session no-session": {"reason": "unknown_session"},
        "Basic YWJj": {"reason": "unreadable_header"},
    }
    async with browser_at(app) as client:
        for header, reason in refused.items():
            caplog.clear()
            answers = {
                (await client.post(path, json={}, headers={"Authorization": header})).text
                for path in ("/api/memories", "/mcp")
            }
            said = [fields for event, fields in lines(caplog) if event == "credential refused"]
            expected = {"reason": "session"} if header.startswith("Session") else reason
            assert (len(answers), said) == (1, [reason, expected])
            assert header.partition(" ")[2] not in caplog.text
