"""The letters that are sent, in words. Links are built from PUBLIC_URL alone."""

from datetime import timedelta

from sqlmodel import Session

from server.mail import Letter, Mailer

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

{inviter} invites you to {place} on SelfMemory, as {role}.

To accept, open this link within 7 days and sign in or sign up with this address:

{invitation_link(mailer, token)}

If you did not expect this, ignore it: nothing happens until you accept.
"""
    letter = Letter(to=to, subject=f"Invitation to {place}", text=text)
    return mailer.queue(session, letter, wait=CALLER_TRIES_FIRST)


def send_verification(session: Session, mailer: Mailer, to: str, token: str) -> None:
    text = f"""Hello,

To confirm that this is your address, open this link within the hour:

{mailer.public_url}/verify-email/{token}

If you did not sign up for SelfMemory, ignore this letter.
"""
    mailer.queue(session, Letter(to=to, subject="Confirm your e-mail address", text=text))


def send_reset(session: Session, mailer: Mailer, to: str, token: str) -> None:
    text = f"""Hello,

To choose a new password for SelfMemory, open this link within the hour:

{reset_link(mailer.public_url, token)}

If you did not ask for this, ignore this letter: your password stays as it is.
"""
    mailer.queue(session, Letter(to=to, subject="Choose a new password", text=text))
