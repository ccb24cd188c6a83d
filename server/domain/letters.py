"""The text of the mails that the server sends. Links start with PUBLIC_URL, never with what a request says."""

from datetime import timedelta

from sqlmodel import Session

from server.mail import Letter, Mailer

CALLER_TRIES_FIRST = timedelta(minutes=1)
"""The worker waits this long, because the request that invites delivers the mail itself and reports the result."""


def invitation_link(mailer: Mailer, token: str) -> str:
    return f"{mailer.public_url}/accept-invitation/{token}"


def reset_link(public_url: str, token: str) -> str:
    return f"{public_url}/reset-password/{token}"


def send_invitation(
    session: Session, mailer: Mailer, to: str, inviter: str, destination: str, role: str, token: str
) -> str | None:
    """Queue the mail. Return its id for `Mailer.deliver`, or None if the server sends no mail.

    `destination` names the organization or project.
    """
    text = f"""Hello,

{inviter} invites you to {destination} on SelfMemory, as {role}.

To accept, open this link within 7 days and sign in or sign up with this address:

{invitation_link(mailer, token)}

If you did not expect this, ignore this e-mail: nothing happens until you accept.
"""
    letter = Letter(to=to, subject=f"Invitation to {destination}", text=text)
    return mailer.queue(session, letter, wait=CALLER_TRIES_FIRST)


def send_verification(session: Session, mailer: Mailer, to: str, token: str) -> None:
    text = f"""Hello,

To confirm your e-mail address, open this link within one hour:

{mailer.public_url}/verify-email/{token}

If you did not sign up for SelfMemory, ignore this e-mail.
"""
    mailer.queue(session, Letter(to=to, subject="Confirm your e-mail address", text=text))


def send_reset(session: Session, mailer: Mailer, to: str, token: str) -> None:
    text = f"""Hello,

To choose a new password for SelfMemory, open this link within one hour:

{reset_link(mailer.public_url, token)}

If you did not ask for this, ignore this e-mail: your password does not change.
"""
    mailer.queue(session, Letter(to=to, subject="Choose a new password", text=text))
