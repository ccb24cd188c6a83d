"""An invitation that was just created: its link, which is shown only once, and whether the email was sent."""

from typing import NamedTuple

from server.domain.letters import invitation_link
from server.domain.teams.invitations import NewInvitation
from server.mailer import Delivery
from server.runtime import Call

MAIL_IS_OFF = "This server does not send email. Share this link with them."
DELIVERY_MESSAGES = {
    Delivery.SENT: "We sent them an email.",
    Delivery.LATER: "The email could not be sent yet. We will try again.",
    Delivery.REFUSED: "The mail server rejected this address. Share this link with them.",
}


class SentInvitation(NamedTuple):
    email: str
    link: str
    delivery: str
    """A sentence for the page."""


async def deliver(call: Call, invitation: NewInvitation) -> SentInvitation:
    """Try to send the email now, after the commit, so that the page can show the outcome."""
    delivery = MAIL_IS_OFF
    if invitation.mail_id is not None:
        delivery = DELIVERY_MESSAGES[await call.runtime.in_thread(call.mailer.deliver, invitation.mail_id)]
    return SentInvitation(invitation.invitation.email, invitation_link(call.mailer, invitation.token), delivery)
