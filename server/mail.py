"""Mail: letters are promised in a transaction as sealed rows, sent after its commit by one thread, and tried again.

Without SMTP_URL the null twin promises nothing; links are in answers and in the dashboard either way.
"""

import base64
import contextlib
import logging
import smtplib
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid, parseaddr
from enum import Enum, auto
from typing import Protocol
from urllib.parse import SplitResult, unquote, urlsplit

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import BaseModel
from sqlalchemy import event
from sqlmodel import Session, col, select

from server.database import Database
from server.models import Mail
from server.models.base import new_id, now
from server.settings import Settings, secret_key

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10
POLL_SECONDS = 30
FIRST_RETRY = timedelta(seconds=30)
SLOWEST_RETRY = timedelta(hours=1)
KEPT_TRYING = timedelta(days=3)


class Letter(BaseModel):
    """One plain text letter to one address."""

    to: str
    subject: str
    text: str


class Delivery(Enum):
    """How a try to send a letter went."""

    SENT = auto()
    LATER = auto()
    REFUSED = auto()


class Mailer(Protocol):
    """What operations and doors know of mail."""

    @property
    def is_on(self) -> bool: ...

    @property
    def public_url(self) -> str: ...

    def queue(self, session: Session, letter: Letter, *, wait: timedelta = timedelta(0)) -> str | None:
        """Promise a letter within the transaction; its id, or None when no mail is sent here.

        `wait` is how long the sending thread leaves it to somebody who calls `deliver`.
        """

    def deliver(self, mail_id: str) -> Delivery:
        """Try to send a promised letter now. Blocks: call it on a worker thread."""

    def check(self) -> bool:
        """Whether the mail server can be reached and takes the sign-in."""

    def start(self) -> None: ...

    def close(self) -> None: ...


class NullMailer:
    """No SMTP_URL: nothing is promised, nothing is sent."""

    is_on = False

    def __init__(self, public_url: str) -> None:
        self.public_url = public_url

    def queue(self, session: Session, letter: Letter, *, wait: timedelta = timedelta(0)) -> str | None:  # noqa: ARG002 - the protocol's
        return None

    def deliver(self, mail_id: str) -> Delivery:  # noqa: ARG002 - the protocol's
        return Delivery.REFUSED

    def check(self) -> bool:
        return True

    def start(self) -> None:
        pass

    def close(self) -> None:
        pass


class SmtpMailer:
    """Sends through one SMTP server. Several processes may share the table: each try is claimed first."""

    is_on = True

    def __init__(self, settings: Settings, database: Database) -> None:
        self.public_url = settings.public_url
        self._server = Server.at(settings.smtp_url.get_secret_value())
        self._sender = settings.mail_from
        self._seal = Fernet(_key(secret_key(settings)))
        self._database = database
        self._due = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mail", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._due.set()
        self._thread.join(CONNECT_SECONDS)

    def queue(self, session: Session, letter: Letter, *, wait: timedelta = timedelta(0)) -> str | None:
        sealed = self._seal.encrypt(letter.model_dump_json().encode())
        mail = Mail(id=new_id("mail_"), sealed=sealed, due_at=now() + wait)
        session.add(mail)
        event.listen(session, "after_commit", lambda _session: self._due.set(), once=True)
        return mail.id

    def deliver(self, mail_id: str) -> Delivery:
        claimed = self._claim(col(Mail.id) == mail_id)
        return self._attempt(claimed) if claimed else Delivery.SENT

    def check(self) -> bool:
        try:
            with self._server.connected():
                return True
        except (OSError, smtplib.SMTPException):
            return False

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                while (claimed := self._claim(col(Mail.due_at) <= now())) and not self._closing.is_set():
                    self._attempt(claimed)
            except sa.exc.SQLAlchemyError:
                log.warning("mail waits for the database", exc_info=True)
            self._due.wait(POLL_SECONDS)
            self._due.clear()  # and only then look: what is promised, or closed, from now on wakes it again

    def _claim(self, condition: sa.ColumnElement[bool]) -> Mail | None:
        """The next letter, put off for everybody else until this try should have ended."""
        query = select(Mail).where(condition).order_by(col(Mail.due_at)).limit(1)
        with self._database.read() as session:
            if session.exec(query).first() is None:
                return None
        with self._database.write() as session:
            mail = session.exec(query.with_for_update(skip_locked=True)).first()
            if mail is not None:
                mail.attempts += 1
                mail.due_at = now() + min(FIRST_RETRY * 2 ** (mail.attempts - 1), SLOWEST_RETRY)
            return mail

    def _attempt(self, mail: Mail) -> Delivery:
        """What cannot ever be sent is given up; a server that says "not now" is asked again."""
        try:
            self._server.send(self._message(Letter.model_validate_json(self._seal.decrypt(mail.sealed))))
        except (InvalidToken, smtplib.SMTPNotSupportedError, ValueError) as error:
            return self._give_up(mail, error)
        except (OSError, smtplib.SMTPException) as error:
            if _is_final(error) or now() - mail.created_at > KEPT_TRYING:
                return self._give_up(mail, error)
            log.warning("mail not sent yet", extra={"attempt": mail.attempts, "reason": type(error).__name__})
            return Delivery.LATER
        self._forget(mail)
        return Delivery.SENT

    def _give_up(self, mail: Mail, error: Exception) -> Delivery:
        log.error("mail given up", extra={"attempt": mail.attempts, "reason": type(error).__name__})
        self._forget(mail)
        return Delivery.REFUSED

    def _forget(self, mail: Mail) -> None:
        with self._database.write() as session:
            session.execute(sa.delete(Mail).where(col(Mail.id) == mail.id))

    def _message(self, letter: Letter) -> EmailMessage:
        """Raises ValueError for what would break out of a header."""
        message = EmailMessage(policy=SMTP)
        name, address = parseaddr(self._sender)
        message["From"] = Address(name, addr_spec=address)
        message["To"] = Address(addr_spec=letter.to)
        message["Subject"] = letter.subject
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain=urlsplit(self.public_url).hostname)
        message["Auto-Submitted"] = "auto-generated"
        # As it is where that can be: an encoding would break a long link over two lines.
        message.set_content(letter.text, cte="7bit" if letter.text.isascii() else None)
        return message


@dataclass(frozen=True, slots=True)
class Server:
    """`smtp://user:password@host:port`, with `?starttls` to encrypt after connecting; `smtps://` encrypts at once."""

    host: str
    port: int
    user: str
    password: str
    is_tls: bool
    wants_starttls: bool

    @classmethod
    def at(cls, url: str) -> "Server":
        """The URL was checked by the settings."""
        parts: SplitResult = urlsplit(url)
        is_tls = parts.scheme == "smtps"
        wants_starttls = "starttls" in parts.query
        port = parts.port or (465 if is_tls else 587 if wants_starttls else 25)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(parts.hostname or "", port, user, password, is_tls, wants_starttls)

    def send(self, message: EmailMessage) -> None:
        with self.connected() as smtp:
            smtp.send_message(message)

    @contextlib.contextmanager
    def connected(self) -> Iterator[smtplib.SMTP]:
        """Raises OSError, smtplib.SMTPException."""
        with self._connect() as smtp:
            if self.wants_starttls:
                smtp.starttls(context=ssl.create_default_context())
            if self.user:
                smtp.login(self.user, self.password)
            yield smtp

    def _connect(self) -> smtplib.SMTP:
        if self.is_tls:
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(self.host, self.port, timeout=CONNECT_SECONDS, context=context)
        return smtplib.SMTP(self.host, self.port, timeout=CONNECT_SECONDS)


def open_mailer(settings: Settings, database: Database) -> Mailer:
    """The mailer that the settings ask for, not started yet."""
    if not settings.smtp_url.get_secret_value():
        return NullMailer(settings.public_url)
    return SmtpMailer(settings, database)


def _is_final(error: Exception) -> bool:
    """Whether the one recipient was refused for good (RFC 5321 section 4.2.1); 4xx is how greylisting says "later"."""
    if not isinstance(error, smtplib.SMTPRecipientsRefused):
        return False
    return all(code >= 500 for code, _ in error.recipients.values())


def _key(secret: str) -> bytes:
    derived = HKDF(hashes.SHA256(), 32, salt=None, info=b"selfmemory mail").derive(secret.encode())
    return base64.urlsafe_b64encode(derived)
