"""Letters that one person makes the server write to another: who may, how many, and what they can say."""

from collections.abc import Callable
from email.message import EmailMessage

import pytest
import sqlalchemy as sa

from server.app import create_app
from server.models import User
from server.settings import Settings
from server.storage.database import Database
from tests.conftest import Tenant
from tests.rest.conftest import Caller
from tests.support.browsers import browser_at
from tests.support.fakes import WordEmbedder
from tests.support.mail import Mailbox
from tests.support.mailing import mailbox, settings
from tests.support.started import running
from tests.support.team import Team

__all__ = ["mailbox", "settings"]

GUEST = "guest@example.com"


@pytest.fixture
def letters(mailbox: tuple[str, Mailbox]) -> list[EmailMessage]:
    return mailbox[1].letters


async def invite(team: Team, email: str = GUEST, role: str = "owner") -> dict[str, str]:
    path = f"/api/organizations/{team.organization_id}/invitations"
    answer = await team[role].post(path, {"email": email, "role": "member"})
    assert answer.status_code == 200, answer.text
    invited: dict[str, str] = answer.json()
    return invited


def change_owner(database: Database, team: Team, **values: object) -> None:
    with database.write() as session:
        session.execute(sa.update(User).where(sa.column("id") == team.ids["owner"]).values(**values))


@pytest.mark.sqlite_only
async def test_an_inviter_without_a_confirmed_address_causes_no_letter_and_learns_it(
    team: Team, database: Database, letters: list[EmailMessage]
) -> None:
    change_owner(database, team, email_verified_at=None)
    invited = await invite(team)
    assert (
        invited["message"] == "Invitation created, but not mailed: confirm your email address first, or share the link."
    )
    assert letters == []
    shown = await team["anonymous"].get(f"/api/invitations/{invited['token']}")
    assert shown.json()["status"] == "pending"
    with database.read() as session:
        assert session.execute(sa.text("SELECT mailed_token_hash FROM invitations")).scalar_one() is None


async def test_a_recipient_gets_at_most_ten_letters_a_day_from_all_inviters(
    team: Team, letters: list[EmailMessage]
) -> None:
    messages = [(await invite(team, role=role))["message"] for role in ("owner", "admin") * 6]
    assert messages[:10] == ["Invitation created and mailed."] * 10
    late = "Invitation created, but not mailed: too many invitations were mailed today. Share the link."
    assert messages[10:] == [late] * 2
    assert len(letters) == 10
    assert (await invite(team, "other@example.com"))["message"] == "Invitation created and mailed."


@pytest.mark.sqlite_only
async def test_an_inviter_causes_at_most_a_hundred_letters_a_day(team: Team, letters: list[EmailMessage]) -> None:
    messages = [(await invite(team, f"guest{number}@example.com"))["message"] for number in range(101)]
    assert messages.count("Invitation created and mailed.") == 100
    assert (await invite(team, role="admin"))["message"] == "Invitation created and mailed."


@pytest.mark.sqlite_only
async def test_r32_no_letter_says_what_its_sender_chose_in_its_subject_and_names_stand_in_quotation_marks(
    team: Team, database: Database, letters: list[EmailMessage]
) -> None:
    change_owner(database, team, name='Security" <https://evil.example/now> Your account is locked')
    with database.write() as session:
        rename = "UPDATE organizations SET name = 'Account locked. Visit evil.example' WHERE id = :id"
        session.execute(sa.text(rename), {"id": team.organization_id})
    await invite(team)
    [letter] = letters
    assert letter["subject"] == "You have been invited to SelfMemory"
    text = letter.get_content()
    assert '"Account locked. Visit evil. example"' in text
    assert f'" ({team.emails["owner"]}) invites you' in text
    assert "evil.example" not in text
    assert text.count("https://") + text.count("http://") == 1


@pytest.mark.sqlite_only
async def test_names_from_right_to_left_leave_the_sentence_around_them_as_it_is(
    team: Team, database: Database, letters: list[EmailMessage]
) -> None:
    change_owner(database, team, name="סארה כהן")
    await invite(team)
    sentence = letters[0].get_content().splitlines()[2]
    assert sentence.startswith('"\N{FIRST STRONG ISOLATE}סארה כהן\N{POP DIRECTIONAL ISOLATE}" (')


async def test_r08_an_address_invites_no_more_for_having_many_accounts(
    settings: Settings, make_tenant: Callable[[str], Tenant], signed_in: Callable[[Tenant], Caller]
) -> None:
    limited = settings.model_copy(update={"rate_limit_enabled": True, "rate_limit_invitation": "1/hour"})
    callers = [
        (tenant, signed_in(tenant)) for tenant in (make_tenant(f"a{number}@example.com") for number in range(11))
    ]
    async with running(create_app(limited, lambda _settings: WordEmbedder())) as app:
        statuses: list[int] = []
        async with browser_at(app, "203.0.113.1") as browser, browser_at(app, "203.0.113.2") as elsewhere:
            for client in [browser] * 11 + [elsewhere]:
                tenant, caller = callers[min(len(statuses), 10)]
                path = f"/api/organizations/{tenant.organization_id}/invitations"
                answer = await Caller(client, caller.headers).post(path, {"email": GUEST, "role": "member"})
                statuses.append(answer.status_code)
    assert statuses == [200] * 10 + [429, 200]
