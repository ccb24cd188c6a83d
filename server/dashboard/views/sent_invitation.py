"""An invitation that was just sent: its link, which is shown this once, and whether the mail went out."""

from typing import NamedTuple

from server.domain.letters import invitation_link
from server.domain.teams.invitations import NewInvitation
from server.mail import Delivery
from server.runtime import Call

SAID = {
    Delivery.SENT: "The mail is on its way.",
    Delivery.LATER: "The mail could not be sent yet, it will be tried again.",
    Delivery.REFUSED: "The mail server refused this address: give them this link.",
}


class Sent(NamedTuple):
    email: str
    link: str
    said: str


async def sent(call: Call, invited: NewInvitation) -> Sent:
    """The letter's first try is made now, after the commit, so that the page can say how it went."""
    said = "No mail is sent from this server: give them this link."
    if invited.mail_id is not None:
        said = SAID[await call.runtime.in_thread(call.mailer.deliver, invited.mail_id)]
    return Sent(invited.invitation.email, invitation_link(call.mailer, invited.token), said)
