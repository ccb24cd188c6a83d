"""The letters that are sent, in words. Links are built from PUBLIC_URL alone."""

from datetime import timedelta

from sqlmodel import Session

from server.mail import Letter, Mailer
from server.models import User

CALLER_TRIES_FIRST = timedelta(minutes=1)
"""An invitation's first try is made by the request that asked for it, which can then tell how it went."""


def invitation_link(mailer: Mailer, token: str) -> str:
    return f"{mailer.public_url}/accept-invitation/{token}"


def reset_link(public_url: str, token: str) -> str:
    return f"{public_url}/reset-password/{token}"


def send_invitation(
    session: Session, mailer: Mailer, to: str, inviter: str, place: str, role: str, token: str
) -> str | None:
    """The letter's id for `Mailer.deliver`, or None when no mail is sent here."""
    text = f"""Hello,

{inviter} invites you to {place} on SelfMemory as {role}.

To accept, open this link and sign in or sign up with this email address. The link expires after 7 days:

{invitation_link(mailer, token)}

If you did not expect this invitation, you can ignore this email. Nothing happens until you accept.
"""
    letter = Letter(to=to, subject=f"Invitation to {place}", text=text)
    return mailer.queue(session, letter, wait=CALLER_TRIES_FIRST)


def send_verification(session: Session, mailer: Mailer, to: str, token: str) -> None:
    text = f"""Hello,

To confirm your email address, open this link. It expires after one hour:

{mailer.public_url}/verify-email/{token}

If you did not sign up for SelfMemory, you can ignore this email.
"""
    mailer.queue(session, Letter(to=to, subject="Confirm your email address", text=text))


def send_reset(session: Session, mailer: Mailer, to: str, token: str) -> None:
    text = f"""Hello,

To reset your SelfMemory password, open this link. It expires after one hour:

{reset_link(mailer.public_url, token)}

If you did not request this, you can ignore this email. Your password will not change.
"""
    mailer.queue(session, Letter(to=to, subject="Reset your password", text=text))


def send_security_notice(session: Session, mailer: Mailer, user: User, happened: str) -> None:
    """Tell the user what happened to how they sign in. An address that is not confirmed gets no letter.

    `happened` is a sentence of ours, without anything that a caller typed.
    """
    if user.email is None or user.email_verified_at is None:
        return
    text = f"""Hello,

{happened}

If this was you, there is nothing to do. If it was not, reset your password and check who is signed in:

{mailer.public_url}/forgot-password
"""
    mailer.queue(session, Letter(to=user.email, subject="Security notice for your account", text=text))
