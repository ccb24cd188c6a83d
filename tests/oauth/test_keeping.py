"""Requirements 102-108: what the database, the logs and the audit trail hold, and what is removed in time."""

import logging
import re
from datetime import timedelta

import httpx
import pytest
import sqlalchemy as sa
from sqlmodel import col, select

from server.domain.grants import retention
from server.hashing import new_token
from server.models import (
    AccessToken,
    AuditEvent,
    AuthorizationCode,
    AuthorizationRequest,
    OAuthGrant,
    RefreshToken,
    metadata,
)
from server.models.base import now
from server.settings import SettingsError, read_settings
from server.storage.database import Database
from tests.support.flows import App, Person, error_of, tokens_of


async def whole_flow(app: App, person: Person) -> list[str]:
    """Return every secret that a flow issues."""
    code = await person.allow(app.request(state="very-private-state"))
    first = tokens_of(await app.redeem(code))
    second = tokens_of(await app.refresh(first.refresh))
    await app.works(second.access)
    session = person.browser.cookies["ory_kratos_session"]
    assert app.secret
    return [code, first.access, first.refresh, second.access, second.refresh, app.secret, session, app.verifier]


async def test_102_the_database_holds_no_secret(backend: App, ann: Person, database: Database) -> None:
    secrets = await whole_flow(backend, ann)
    with database.read() as session:
        dump = "\n".join(str(row) for table in metadata.sorted_tables for row in session.execute(sa.select(table)))
    assert backend.client_id in dump
    assert [secret for secret in secrets if secret in dump] == []


async def test_103_the_log_holds_no_secret(
    backend: App, ann: Person, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("server", "oauth", "authlib", "rest"):
        caplog.set_level(logging.DEBUG, name)
    secrets = await whole_flow(backend, ann)
    error_of(await backend.refresh("sm_rt_Sensitive"))
    ours = [str(vars(record)) for record in caplog.records if not record.name.startswith("http")]  # not the test client
    told = "".join([*ours, *capfd.readouterr()])
    assert "/oauth/token" in told
    for secret in [*secrets, "sm_rt_Sensitive", "very-private-state", ann.email]:
        assert secret not in told


def test_104_tokens_are_random_enough() -> None:
    tokens = {new_token("x_") for _ in range(1000)}
    assert len(tokens) == 1000
    assert all(re.fullmatch(r"x_[0-9A-Za-z]{32}", token) for token in tokens)  # 190 bits


@pytest.mark.parametrize("url", ["http://memory.example.com", "ftp://localhost", "https://memory.example.com/path"])
def test_105_a_public_server_does_not_start_insecurely(url: str) -> None:
    with pytest.raises(SettingsError):
        read_settings(env_file=None, public_url=url, secret_key="x" * 32)
    with pytest.raises(SettingsError):
        read_settings(env_file=None, public_url="https://memory.example.com", secret_key="")


HTTPS = "https://memory.example.com"


@pytest.mark.parametrize("is_https", [pytest.param(True, marks=pytest.mark.settings(public_url=HTTPS)), False])
async def test_106_https_servers_send_hsts(client: httpx.AsyncClient, is_https: bool) -> None:
    """PUBLIC_URL decides; the scheme that a request claims changes nothing. Names below the host are not ours."""
    for claimed in ({}, {"X-Forwarded-Proto": "http" if is_https else "https"}):
        given = {"email": f"ann{len(claimed)}@example.com", "name": "Ann", "password": "correct horse battery"}
        response = await client.post("/sign-up", data=given, headers=claimed)
        assert response.status_code == 303
        assert response.headers.get("strict-transport-security") == ("max-age=31536000" if is_https else None)
        assert ("; Secure" in response.headers["set-cookie"]) is is_https


async def test_108_changes_of_access_are_in_the_audit_trail(
    backend: App, notes: App, ann: Person, database: Database
) -> None:
    tokens = await backend.connect(ann)
    await ann.decide(await ann.open(notes.request()), "deny")
    await backend.post("/oauth/revoke", {"token": tokens.refresh})
    again = await backend.connect(ann)
    await backend.refresh(again.refresh)
    with database.write() as session:
        session.execute(sa.update(RefreshToken).values(rotated_at=now() - timedelta(hours=1)))
    for _ in range(2):
        await backend.refresh(again.refresh)
    await backend.connect(ann)
    connection = (await ann.browser.get("/api/connections")).json()["connections"][0]
    await ann.browser.delete(f"/api/connections/{connection['id']}")
    with database.read() as session:
        events = session.exec(select(AuditEvent).order_by(col(AuditEvent.id))).all()
    assert [event.type for event in events if not event.type.startswith("account.")] == [
        "client.registered", "client.registered", "access.granted", "access.denied", "token.revoked",
        "access.granted", "token.refused", "token.reused", "access.granted", "access.disconnected",
    ]  # fmt: skip
    shown = (await ann.browser.get(f"/api/organizations/{ann.organization_id}/audit")).json()["events"]
    assert "access.granted" in {event["type"] for event in shown}
    assert "sm_" not in str([event.details for event in events])


async def test_what_has_ended_is_removed(notes: App, backend: App, ann: Person, database: Database) -> None:
    kept = await backend.connect(ann)
    await notes.connect(ann)
    tables = (AuthorizationRequest, AuthorizationCode, AccessToken, RefreshToken, OAuthGrant)
    long_ago = now() - timedelta(days=2)
    with database.write() as session:
        of_notes = sa.select(col(OAuthGrant.id)).where(col(OAuthGrant.client_id) == notes.client_id)
        for table in (AuthorizationRequest, AuthorizationCode):
            session.execute(sa.update(table).values(expires_at=long_ago))
        for tokens in (AccessToken, RefreshToken):
            session.execute(sa.update(tokens).where(col(tokens.grant_id).in_(of_notes)).values(expires_at=long_ago))
    with database.write() as session:
        assert [retention.remove_expired(session, 30) for _ in range(3)] == [6, 1, 0]
    with database.read() as session:
        assert [len(session.exec(select(table)).all()) for table in tables] == [0, 0, 1, 1, 1]
    assert await backend.works(kept.access)
