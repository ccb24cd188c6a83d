"""Invitations by mail: they also work while the mail server is down, and the answer says so."""

from email.message import EmailMessage

import pytest
from pydantic import SecretStr

from server.settings import Settings
from tests.support.mail import Mailbox, free_port, link_in, mail_server
from tests.support.team import Team

pytestmark = pytest.mark.sqlite_only


@pytest.fixture
def mail_port() -> int:
    return free_port()


@pytest.fixture
def settings(settings: Settings, mail_port: int) -> Settings:
    return settings.model_copy(update={"smtp_url": SecretStr(f"smtp://127.0.0.1:{mail_port}")})


async def invite(team: Team) -> dict[str, str]:
    body = {"email": "new@example.com", "role": "member"}
    answer = await team["owner"].post(f"/api/organizations/{team.organization_id}/invitations", body)
    assert answer.status_code == 200
    invited: dict[str, str] = answer.json()
    return invited


async def test_an_invitation_is_mailed_with_its_link(team: Team, mail_port: int) -> None:
    with mail_server(mail_port) as (_, mailbox):
        invited = await invite(team)
    assert invited["message"] == "Invitation created and mailed."
    letter = only(mailbox)
    assert letter["to"] == "new@example.com"
    assert letter["subject"] == "You have been invited to SelfMemory"
    said = f'"Owner" ({team.emails["owner"]}) invites you to the organization "Acme" on SelfMemory as a member.'
    assert said in letter.get_content()
    link = link_in(letter)
    assert invited["token"] not in link
    shown = await team["anonymous"].get(link.replace("/accept-invitation/", "/api/invitations/"))
    assert shown.json()["invitation_id"] == invited["invitation_id"]


async def test_the_mailed_invitation_to_a_project_names_the_project(team: Team, mail_port: int) -> None:
    body = {"email": "new@example.com", "role": "viewer"}
    with mail_server(mail_port) as (_, mailbox):
        await team["owner"].post(f"/api/projects/{team.project_id}/invitations", body)
    said = 'invites you to the project "Wiki" in the organization "Acme" on SelfMemory as a viewer.'
    assert said in only(mailbox).get_content()


async def test_an_invitation_works_while_the_mail_server_is_down(team: Team) -> None:
    invited = await invite(team)
    assert "we will try again" in invited["message"]
    assert invited["link"].endswith(invited["token"])
    shown = await team["anonymous"].get(f"/api/invitations/{invited['token']}")
    assert shown.json()["status"] == "pending"


async def test_the_answer_says_that_the_mail_server_refused_the_address(team: Team, mail_port: int) -> None:
    with mail_server(mail_port) as (_, mailbox):
        mailbox.refusal = "550 nobody of this name"
        invited = await invite(team)
    assert invited["message"] == "Invitation created. The mail server refused this address: share the link."


async def test_the_link_is_never_shown_again(team: Team) -> None:
    invited = await invite(team)
    for path in ("members", "audit?limit=10"):
        assert (
            invited["token"] not in (await team["owner"].get(f"/api/organizations/{team.organization_id}/{path}")).text
        )


def only(mailbox: Mailbox) -> EmailMessage:
    [letter] = mailbox.letters
    return letter
