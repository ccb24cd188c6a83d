"""The texts of the emails that the server sends. Links start with PUBLIC_URL, never with a request's Host."""

import re
import unicodedata
from datetime import timedelta
from enum import Enum, auto

from sqlmodel import Session

from server.domain import sent_letters
from server.mailer import Letter, Mailer
from server.models import Invitation, Organization, Project, User
from server.models.notifications import LetterKind
from server.plurals import with_article
from server.text import characters

CALLER_TRIES_FIRST = timedelta(minutes=1)
"""The mail worker waits this long, because the request that invites delivers the mail itself and reports the result."""


LONGEST_NAME = 100
CHANGE_REQUESTED = (
    "Somebody asked to change the email address of your account. It changes when the link in the email to the new "
    "address is opened."
)
_BREAKS_OUT = re.compile(r"""["'`<>:/\\@()\[\]]|[^\S ]""")
"""Characters that could end a quoted name or turn it into a link."""


def invitation_link(mailer: Mailer, token: str) -> str:
    return f"{mailer.public_url}/accept-invitation/{token}"


def reset_link(public_url: str, token: str) -> str:
    return f"{public_url}/reset-password/{token}"


class Unmailed(Enum):
    """Why an invitation is not mailed. Its link works anyway."""

    MAIL_IS_OFF = auto()
    INVITER_UNCONFIRMED = auto()
    TOO_MANY = auto()


def send_invitation(
    session: Session, mailer: Mailer, invitation: Invitation, organization: Organization, role: str, token: str
) -> str | Unmailed:
    """Queue the letter and return its id for `Mailer.deliver`, or why it was not queued. Only accounts with a confirmed
    address may send mail to others.
    """
    inviter = session.get_one(User, invitation.invited_by)
    if not mailer.is_on:
        return Unmailed.MAIL_IS_OFF
    if not _may_cause_letters(inviter):
        return Unmailed.INVITER_UNCONFIRMED
    if not sent_letters.admit(session, LetterKind.INVITATION, invitation.email, inviter.id, invitation.id):
        return Unmailed.TOO_MANY
    project = session.get_one(Project, invitation.project_id) if invitation.project_id else None
    offered = offer(organization.name, project.name if project else None, role)
    text = f"""Hello,

{quoted(inviter.name)} ({inviter.email}) invites you to {offered}.

To accept, open this link and sign in or sign up with this email address. The link expires after 7 days:

{invitation_link(mailer, token)}

If you did not expect this invitation, you can ignore this email. Nothing happens until you accept.
"""
    letter = Letter(to=invitation.email, subject="You have been invited to SelfMemory", text=text)
    return mailer.queue(session, letter, wait=CALLER_TRIES_FIRST) or Unmailed.MAIL_IS_OFF


def offer(organization: str, project: str | None, role: str) -> str:
    """Say where an invitation leads, to a project or to the whole organization."""
    place = f"the project {quoted(project)} in the organization" if project is not None else "the organization"
    return f"{place} {quoted(organization)} on SelfMemory as {with_article(role)}"


def _may_cause_letters(inviter: User) -> bool:
    return inviter.email_verified_at is not None


def send_verification(session: Session, mailer: Mailer, to: str, token: str) -> None:
    text = f"""Hello,

To confirm your email address, open this link. It expires after one hour:

{mailer.public_url}/verify-email/{token}

If you did not sign up for SelfMemory, you can ignore this email.
"""
    mailer.queue(session, Letter(to=to, subject="Confirm your email address", text=text))


def send_change(session: Session, mailer: Mailer, to: str, token: str) -> None:
    text = f"""Hello,

To use this email address for your SelfMemory account, open this link. It expires after one hour:

{mailer.public_url}/verify-email/{token}

If you did not ask for this, you can ignore this email. Nothing happens until you open the link.
"""
    mailer.queue(session, Letter(to=to, subject="Confirm your new email address", text=text))


def send_address_taken(session: Session, mailer: Mailer, to: str) -> None:
    """Mail the owner of an address that somebody else asked for it. The page does not tell that person who owns it."""
    text = f"""Hello,

Somebody asked to use this email address for another SelfMemory account. Nothing was changed, because an account with
this address already exists.

If it was you, first delete that account, or change its address. If you do not know its password, you can reset it:

{mailer.public_url}/forgot-password

If it was not you, you can ignore this email.
"""
    mailer.queue(session, Letter(to=to, subject="Your email address already has an account", text=text))


def send_reset(session: Session, mailer: Mailer, to: str, token: str) -> None:
    text = f"""Hello,

To reset your SelfMemory password, open this link. It expires after one hour:

{reset_link(mailer.public_url, token)}

If you did not request this, you can ignore this email. Your password will not change.
"""
    mailer.queue(session, Letter(to=to, subject="Reset your password", text=text))


def send_security_notice(session: Session, mailer: Mailer, user: User, notice: str) -> None:
    """Mail the user about a change to their ways of signing in. An unconfirmed address gets no letter, and a confirmed
    one gets the same notice only a few times a day. `notice` must not contain text from a caller.
    """
    address = _confirmed_address(user)
    if address is None or not sent_letters.admit_notice(session, address, notice):
        return
    text = f"""Hello,

{notice}

If this was you, there is nothing to do. If it was not, reset your password and check who is signed in:

{mailer.public_url}/forgot-password
"""
    _send_about_security(session, mailer, address, text)


def send_address_changed(session: Session, mailer: Mailer, user: User) -> None:
    """Mail a notice to the address that the user is about to lose. An unconfirmed address gets no letter."""
    text = """Hello,

The email address of your account was changed. This address can no longer sign in, and gets no more email about it.

If this was you, there is nothing to do. If it was not, ask the administrator of this SelfMemory server for help.
"""
    if address := _confirmed_address(user):
        _send_about_security(session, mailer, address, text)


def _send_about_security(session: Session, mailer: Mailer, address: str, text: str) -> None:
    mailer.queue(session, Letter(to=address, subject="Security notice for your account", text=text))


def _confirmed_address(user: User) -> str | None:
    return user.email if user.email_verified_at is not None else None


def quoted(name: str) -> str:
    """Return a name in quotation marks, without characters that could end the quotation or form a link.

    Arabic and Hebrew names are isolated, because mail programs take the direction of a line from its first letter.
    """
    text = _BREAKS_OUT.sub(" ", characters.normalize("NFKC", name))
    text = " ".join(re.sub(r"\.(?=\S)", ". ", text).split())[:LONGEST_NAME]
    if any(unicodedata.bidirectional(character) in ("R", "AL") for character in text):
        text = f"\N{FIRST STRONG ISOLATE}{text}\N{POP DIRECTIONAL ISOLATE}"
    return f'"{text}"'
