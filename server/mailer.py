"""The mail interface for operations and doors: a letter, how to send it, and the outcome."""

from datetime import timedelta
from enum import Enum, auto

from pydantic import BaseModel
from sqlmodel import Session


class Letter(BaseModel):
    """One plain text letter to one address."""

    to: str
    subject: str
    text: str


class Delivery(Enum):
    """The outcome of one attempt to send a letter."""

    SENT = auto()
    LATER = auto()
    REFUSED = auto()


class Mailer:
    """The mailer of a server without SMTP_URL: it queues and sends nothing. `server.adapters.mail.SmtpMailer` does."""

    is_on = False

    def __init__(self, public_url: str) -> None:
        self.public_url = public_url

    def queue(self, session: Session, letter: Letter, *, wait: timedelta = timedelta(0)) -> str | None:  # noqa: ARG002 - as of `SmtpMailer`
        """Queue a letter in the transaction. Return its id, or None when this server sends no mail.

        The sending thread does not touch the letter for `wait`, so that the caller can `deliver` it first.
        """
        return None

    def deliver(self, mail_id: str) -> Delivery:  # noqa: ARG002 - the same
        """Send a queued letter now. Blocks: call it on a worker thread."""
        return Delivery.REFUSED

    def answers(self, *, signs_in: bool) -> bool:  # noqa: ARG002 - the same
        """Return whether the mail server answers and, with `signs_in`, accepts the credentials."""
        return True

    def start(self) -> None:
        """Start to send what is queued."""

    def close(self) -> None:
        """Stop sending."""
