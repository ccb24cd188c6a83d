"""An invitation that was just created: its link, which is shown only once, and whether the email was sent."""

from collections.abc import Mapping

from starlette.responses import Response

from server.dashboard.shown_once import show_once
from server.domain.letters import Unmailed, invitation_link
from server.domain.teams.invitations import NewInvitation
from server.mailer import Delivery
from server.shell.runtime import Call

DELIVERY_MESSAGES: Mapping[Delivery | Unmailed, str] = {
    Delivery.SENT: "We sent them an email.",
    Delivery.LATER: "The email could not be sent yet. We will try again.",
    Delivery.REFUSED: "The mail server rejected this address. Share this link with them.",
    Unmailed.MAIL_IS_OFF: "This server does not send email. Share this link with them.",
    Unmailed.INVITER_UNCONFIRMED: (
        "We did not email it, because your own email address is not confirmed yet. "
        "Confirm it on your account page, or share this link with them."
    ),
    Unmailed.TOO_MANY: (
        "We did not email it, because too many invitations were emailed today. Share this link with them."
    ),
}


async def show_sent(call: Call, invitation: NewInvitation, path: str) -> Response:
    """Try to send the email now, after the commit, and redirect to the page at `path`, which shows the outcome and the
    link once: only its hash is stored.
    """
    mail = invitation.mail
    outcome = await call.runtime.in_thread(call.mailer.deliver, mail) if isinstance(mail, str) else mail
    link = invitation_link(call.mailer, invitation.token)
    return show_once(call, path, email=invitation.invitation.email, link=link, delivery=DELIVERY_MESSAGES[outcome])
