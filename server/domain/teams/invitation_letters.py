"""The letter for an invitation, and the reasons for not mailing one."""

from enum import Enum, auto

from sqlmodel import Session

from server.domain import letters, sent_letters
from server.mailer import Mailer
from server.models import Invitation, Organization, Project, User
from server.models.notifications import LetterKind


class Unmailed(Enum):
    """Why an invitation is not mailed. Its link works anyway."""

    MAIL_IS_OFF = auto()
    INVITER_UNCONFIRMED = auto()
    TOO_MANY = auto()


def queue(
    session: Session, invitation: Invitation, organization: Organization, role: str, token: str, mailer: Mailer
) -> str | Unmailed:
    """Queue the letter and return its id, or why it was not queued. Only accounts with a confirmed address may send
    mail to others.
    """
    inviter = session.get_one(User, invitation.invited_by)
    if not mailer.is_on:
        return Unmailed.MAIL_IS_OFF
    if not _may_cause_letters(inviter):
        return Unmailed.INVITER_UNCONFIRMED
    if not sent_letters.admit(session, LetterKind.INVITATION, invitation.email, inviter.id, invitation.id):
        return Unmailed.TOO_MANY
    project = session.get_one(Project, invitation.project_id) if invitation.project_id else None
    offered = letters.offer(organization.name, project.name if project else None, role)
    mail_id = letters.send_invitation(session, mailer, invitation.email, inviter, offered, token)
    return mail_id or Unmailed.MAIL_IS_OFF


def _may_cause_letters(inviter: User) -> bool:
    return inviter.email_verified_at is not None
