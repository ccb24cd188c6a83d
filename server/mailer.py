"""The mail interface for operations and doors: a letter, how to send it, and the outcome."""

from datetime import timedelta
from enum import Enum, auto
from typing import Protocol

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


class Mailer(Protocol):
    """The part of a mailer that operations and doors use."""

    @property
    def is_on(self) -> bool: ...

    @property
    def public_url(self) -> str: ...

    def queue(self, session: Session, letter: Letter, *, wait: timedelta = timedelta(0)) -> str | None:
        """Queue a letter in the transaction. Return its id, or None when this server sends no mail.

        The sending thread does not touch the letter for `wait`, so that the caller can `deliver` it first.
        """

    def deliver(self, mail_id: str) -> Delivery:
        """Send a queued letter now. Blocks: call it on a worker thread."""

    def check(self) -> bool:
        """Return whether the mail server answers and accepts the credentials."""

    def answers(self) -> bool:
        """Return whether the mail server answers, without signing in."""

    def start(self) -> None: ...

    def close(self) -> None: ...
