"""Refused codes and refresh tokens: the client reads one sentence; the log and the audit trail hold the reason."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest
import sqlalchemy as sa
from sqlmodel import Session, SQLModel, col, select

from server.domain.grants import tokens
from server.domain.grants.refusals import Refusal
from server.models import AuditEvent, AuthorizationCode, OAuthGrant, ProjectMember, ProjectRole, RefreshToken
from server.models.base import now
from server.storage.database import Database
from tests.oauth.conftest import Register
from tests.oauth.test_pages import share
from tests.support.flows import App, Person, error_of

CODE_SENTENCE = (
    "The code is unknown, used or expired, or it does not match this client, code_verifier or redirect_uri. "
    "Authorize again."
)
TOKEN_SENTENCE = "The refresh token was already used or is no longer valid. Authorize again."
REFUSED = ("token.refused", "token.repeated", "token.reused", "code.refused")

Change = Callable[[Session], object]


def expire(table: type[SQLModel]) -> Change:
    return lambda session: session.execute(sa.update(table).values(expires_at=now()))


def remove_members(session: Session) -> None:
    """Take every role that is held in a project; roles that come from an organization stay."""
    session.execute(sa.delete(ProjectMember))


def end_grace_period(session: Session) -> None:
    session.execute(sa.update(RefreshToken).values(rotated_at=now() - timedelta(hours=1)))


@dataclass(frozen=True)
class Logged:
    """The lines of the log about refusals."""

    caplog: pytest.LogCaptureFixture

    def last(self) -> tuple[str, str, str]:
        """Return message, client id and reason of the newest line."""
        record = [record for record in self.caplog.records if record.name == "oauth.grants"][-1]
        return record.getMessage(), vars(record)["client_id"], vars(record)["reason"]


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Logged:
    caplog.set_level(logging.INFO, "oauth")
    return Logged(caplog)


def audited(database: Database) -> list[tuple[str, str]]:
    """Return type and reason of each audit event about a refusal or a repetition, oldest first."""
    with database.read() as session:
        events = session.exec(select(AuditEvent).order_by(col(AuditEvent.id))).all()
    return [(event.type, str(event.details.get("reason", ""))) for event in events if event.type in REFUSED]


def sentence_of(response: httpx.Response) -> str:
    assert error_of(response) == "invalid_grant"
    return str(response.json()["error_description"])


async def test_the_sentence_does_not_tell_what_was_never_issued_or_is_another_clients(
    notes: App, register: Register, ann: Person
) -> None:
    other = await register()
    code, refresh_token = await ann.allow(notes.request()), (await notes.connect(ann)).refresh
    for app, given in ((other, code), (notes, "sm_co_x"), (notes, refresh_token)):
        assert sentence_of(await app.redeem(given)) == CODE_SENTENCE
    for app, given in ((other, refresh_token), (notes, "sm_rt_x"), (notes, code)):
        assert sentence_of(await app.refresh(given)) == TOKEN_SENTENCE


@pytest.mark.parametrize(
    ("change", "reason"), [(expire(AuthorizationCode), Refusal.EXPIRED), (remove_members, Refusal.ROLE_LOST)]
)
async def test_a_refused_code_is_logged_and_audited_with_its_reason(
    notes: App, ann: Person, ben: Person, database: Database, logged: Logged, change: Change, reason: Refusal
) -> None:
    share(database, ann, ben, ProjectRole.EDITOR)
    code = await ben.allow(notes.request(), ann.project_id)
    with database.write() as session:
        change(session)
    assert sentence_of(await notes.redeem(code)) == CODE_SENTENCE
    assert logged.last() == ("code refused", notes.client_id, reason)
    assert audited(database) == [("code.refused", reason)]


async def test_a_replayed_code_is_logged_and_audited(
    notes: App, ann: Person, database: Database, logged: Logged
) -> None:
    code = await ann.allow(notes.request())
    await notes.redeem(code)
    for _ in range(3):
        assert sentence_of(await notes.redeem(code)) == CODE_SENTENCE
        assert logged.last() == ("code refused", notes.client_id, Refusal.ALREADY_USED)
    assert audited(database) == [("token.reused", Refusal.ALREADY_USED), ("code.refused", Refusal.ALREADY_USED)]


@pytest.mark.parametrize(
    ("change", "event", "reason"),
    [
        (expire(RefreshToken), "token.refused", Refusal.EXPIRED),
        (remove_members, "token.refused", Refusal.ROLE_LOST),
        (end_grace_period, "token.refused", Refusal.LATE),
    ],
)
async def test_a_refused_refresh_token_is_logged_and_audited_with_its_reason(
    notes: App,
    ann: Person,
    ben: Person,
    database: Database,
    logged: Logged,
    change: Change,
    event: str,
    reason: Refusal,
) -> None:
    share(database, ann, ben, ProjectRole.EDITOR)
    refresh_token = (await notes.connect(ben, ann.project_id)).refresh
    with database.write() as session:
        change(session)
    assert sentence_of(await notes.refresh(refresh_token)) == TOKEN_SENTENCE
    assert logged.last() == ("refresh token refused", notes.client_id, reason)
    assert audited(database) == [(event, reason)]
    assert refresh_token not in logged.caplog.text


async def test_each_use_of_an_old_refresh_token_is_audited(
    notes: App, ann: Person, database: Database, logged: Logged
) -> None:
    """A second successor, one use too many, a late use, and the one that ends the family."""
    refresh_token = (await notes.connect(ann)).refresh
    assert [(await notes.refresh(refresh_token)).status_code for _ in range(3)] == [200] * 3
    expected = [("token.repeated", "")]
    assert audited(database) == expected
    assert sentence_of(await notes.refresh(refresh_token)) == TOKEN_SENTENCE
    assert logged.last() == ("refresh token refused", notes.client_id, Refusal.TOO_OFTEN)
    expected += [("token.refused", Refusal.TOO_OFTEN)]
    assert audited(database) == expected
    with database.write() as session:
        end_grace_period(session)
    for event, reason in (("token.refused", Refusal.LATE), ("token.reused", Refusal.REUSED)):
        assert sentence_of(await notes.refresh(refresh_token)) == TOKEN_SENTENCE
        assert logged.last() == ("refresh token refused", notes.client_id, reason)
        expected += [(event, reason)]
        assert audited(database) == expected


@pytest.mark.parametrize(
    ("table", "reason", "events"),
    [
        (OAuthGrant, Refusal.GRANT_ENDED, []),
        (RefreshToken, Refusal.DISCARDED, [("token.refused", Refusal.DISCARDED)]),
    ],
)
async def test_a_refresh_token_that_is_deleted_during_the_exchange_is_logged(
    notes: App,
    ann: Person,
    database: Database,
    logged: Logged,
    monkeypatch: pytest.MonkeyPatch,
    table: type[SQLModel],
    reason: Refusal,
    events: list[tuple[str, str]],
) -> None:
    refresh_token = (await notes.connect(ann)).refresh
    find = tokens.find_refresh_token

    def find_then_delete(session: Session, token: str) -> tuple[RefreshToken, OAuthGrant] | None:
        """Delete as another transaction would, between the look-up and the lock."""
        found = find(session, token)
        session.connection().execute(sa.delete(table))
        return found

    monkeypatch.setattr(tokens, "find_refresh_token", find_then_delete)
    assert sentence_of(await notes.refresh(refresh_token)) == TOKEN_SENTENCE
    assert logged.last() == ("refresh token refused", notes.client_id, reason)
    assert audited(database) == events


async def test_a_code_that_is_deleted_during_the_exchange_is_logged(
    notes: App, ann: Person, database: Database, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = await ann.allow(notes.request())
    find = tokens.find_code

    def find_then_delete(session: Session, code: str, client_id: str) -> AuthorizationCode | Refusal:
        found = find(session, code, client_id)
        session.connection().execute(sa.delete(AuthorizationCode))
        return found

    monkeypatch.setattr(tokens, "find_code", find_then_delete)
    assert sentence_of(await notes.redeem(code)) == CODE_SENTENCE
    assert logged.last() == ("code refused", notes.client_id, Refusal.GRANT_ENDED)
    assert audited(database) == []


async def test_another_clients_code_and_refresh_token_are_logged_and_audited(
    notes: App, register: Register, ann: Person, database: Database, logged: Logged
) -> None:
    other = await register()
    code = await ann.allow(notes.request())
    error_of(await other.redeem(code, code_verifier=notes.verifier))
    assert logged.last() == ("code refused", other.client_id, Refusal.OTHER_CLIENT)
    assert audited(database) == [("code.refused", Refusal.OTHER_CLIENT)]
    error_of(await other.refresh((await notes.connect(ann)).refresh))
    assert logged.last() == ("refresh token refused", other.client_id, Refusal.OTHER_CLIENT)
    assert audited(database) == [("code.refused", Refusal.OTHER_CLIENT), ("token.refused", Refusal.OTHER_CLIENT)]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"code_verifier": "a" * 43}, Refusal.WRONG_VERIFIER),
        ({"redirect_uri": "https://notes.example/elsewhere"}, Refusal.WRONG_REDIRECT_URI),
    ],
)
async def test_a_code_that_does_not_match_the_request_is_logged_and_audited_and_stays_valid(
    notes: App, ann: Person, database: Database, logged: Logged, wrong: dict[str, str], reason: Refusal
) -> None:
    code = await ann.allow(notes.request())
    for _ in range(2):
        assert sentence_of(await notes.redeem(code, **wrong)) == CODE_SENTENCE
        assert logged.last() == ("code refused", notes.client_id, reason)
    assert audited(database) == [("code.refused", reason)]
    assert (await notes.redeem(code)).status_code == 200


async def test_a_guess_is_logged_and_leaves_no_audit_event(notes: App, database: Database, logged: Logged) -> None:
    error_of(await notes.redeem("sm_ac_guess"))
    assert logged.last() == ("code refused", notes.client_id, Refusal.UNKNOWN)
    error_of(await notes.refresh("sm_rt_guess"))
    assert logged.last() == ("refresh token refused", notes.client_id, Refusal.UNKNOWN)
    assert audited(database) == []
    assert "guess" not in logged.caplog.text


async def test_a_client_that_repeats_a_refused_request_leaves_one_audit_event(
    notes: App, ann: Person, database: Database
) -> None:
    refresh_token = (await notes.connect(ann)).refresh
    with database.write() as session:
        session.execute(sa.update(RefreshToken).values(expires_at=now()))
    for _ in range(5):
        error_of(await notes.refresh(refresh_token))
    assert audited(database) == [("token.refused", Refusal.EXPIRED)]
    events = (await ann.browser.get(f"/api/organizations/{ann.organization_id}/audit")).json()["events"]
    assert events[0]["type"] == "token.refused"
    assert events[0]["metadata"] == {"client_id": notes.client_id, "reason": "expired"}
