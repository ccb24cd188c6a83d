"""Mail: an operation queues a letter as an encrypted row; after the commit one thread sends it, with retries.

Without SMTP_URL nothing is queued. Links also appear in answers and in the dashboard.
"""

import contextlib
import logging
import smtplib
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import formatdate, make_msgid, parseaddr
from urllib.parse import SplitResult, unquote, urlsplit

import sqlalchemy as sa
from cryptography.fernet import InvalidToken
from sqlalchemy import event
from sqlmodel import Session, col, select

from server.mailer import Delivery, Letter, Mailer
from server.models import Mail
from server.models.base import is_of_later_clock, now
from server.network import urls
from server.network.domain_names import mail_address
from server.sealing import Purpose, key_id, seal_for
from server.setting_types import STARTTLS
from server.settings import Settings
from server.storage.database import Database
from server.storage.database_failures import why

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10
POLL_SECONDS = 30
AFTER_FAILURE_SECONDS = 1
"""How long to wait after a letter on which a bug shows. That letter is due later than the others."""

FIRST_RETRY = timedelta(seconds=30)
SLOWEST_RETRY = timedelta(hours=1)
MOST_DOUBLINGS = 7
"""So many doublings of `FIRST_RETRY` exceed `SLOWEST_RETRY`. Some more would exceed what a timedelta can hold."""

GIVE_UP_AFTER = timedelta(days=3)


class NotOffered(smtplib.SMTPException):
    """The server offers no STARTTLS, or no sign-in before it. SMTP_URL is wrong, not the letter, which is kept."""


class SmtpMailer(Mailer):
    """Sends through one SMTP server. Processes that share the table claim a letter before they send it."""

    is_on = True

    def __init__(self, settings: Settings, database: Database) -> None:
        super().__init__(settings.public_url)
        self._server = Server.at(settings.smtp_url.get_secret_value(), _public_name(settings.public_url))
        self._sender = settings.mail_from
        self._seal = seal_for(settings, Purpose.MAIL)
        self._key_id = key_id(settings)
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
        mail = Mail(sealed=sealed, key_id=self._key_id, due_at=now() + wait)
        session.add(mail)
        event.listen(session, "after_commit", lambda _session: self._due.set(), once=True)
        return mail.id

    def deliver(self, mail_id: str) -> Delivery:
        claimed = self._claim(col(Mail.id) == mail_id)
        return self._attempt(claimed) if claimed else Delivery.SENT

    def answers(self, *, signs_in: bool) -> bool:
        try:
            with self._server.connected(signs_in=signs_in):
                return True
        except (OSError, smtplib.SMTPException):
            return False

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                while (claimed := self._claim(self._due_here())) and not self._closing.is_set():
                    self._attempt(claimed)
            except sa.exc.SQLAlchemyError as error:
                log.warning("mail paused: the database is unavailable", extra={"reason": why(error)})
            except Exception:
                log.exception("mail failed, trying again")  # the thread must not die: other letters wait
                self._closing.wait(AFTER_FAILURE_SECONDS)
                continue
            self._due.wait(POLL_SECONDS)
            self._due.clear()  # before the query, so that a later letter wakes the thread again

    def _due_here(self) -> sa.ColumnElement[bool]:
        """Select the letters that are due. A letter encrypted with another key waits for a process that has the key."""
        is_readable = sa.or_(col(Mail.key_id) == self._key_id, col(Mail.key_id).is_(None))
        is_due = sa.or_(col(Mail.due_at) <= now(), is_of_later_clock(col(Mail.due_at), 2 * SLOWEST_RETRY))
        return sa.and_(is_due, is_readable)

    def _claim(self, condition: sa.ColumnElement[bool]) -> Mail | None:
        """Return the next due letter, and postpone it for other processes until this attempt has ended."""
        query = select(Mail).where(condition).order_by(col(Mail.due_at)).limit(1)
        with self._database.read() as session:
            if session.exec(query).first() is None:
                return None
        with self._database.write() as session:
            mail = session.exec(query.with_for_update(skip_locked=True)).first()
            if mail is not None:
                mail.attempts += 1
                doublings = min(mail.attempts - 1, MOST_DOUBLINGS)
                mail.due_at = now() + min(FIRST_RETRY * 2**doublings, SLOWEST_RETRY)
            return mail

    def _attempt(self, mail: Mail) -> Delivery:
        """Send the letter. Drop it after a permanent failure; keep it for a retry after a temporary one."""
        try:
            message = self._message(Letter.model_validate_json(self._seal.decrypt(mail.sealed)))
            with self._server.connected() as smtp:
                smtp.send_message(message)
        except InvalidToken:
            log.warning("mail is encrypted with another SECRET_KEY", extra={"attempt": mail.attempts})
            return Delivery.LATER
        except smtplib.SMTPNotSupportedError as error:
            return self._give_up(mail, error)
        except (OSError, smtplib.SMTPException) as error:  # before ValueError: an invalid certificate raises both
            if _is_final(error) or now() - mail.created_at > GIVE_UP_AFTER:
                return self._give_up(mail, error)
            log.warning("mail not sent yet", extra={"attempt": mail.attempts, "reason": type(error).__name__})
            return Delivery.LATER
        except ValueError as error:
            return self._give_up(mail, error)
        self._delete(mail)
        return Delivery.SENT

    def _give_up(self, mail: Mail, error: Exception) -> Delivery:
        log.error("mail dropped", extra={"attempt": mail.attempts, "reason": type(error).__name__})
        self._delete(mail)
        return Delivery.REFUSED

    def _delete(self, mail: Mail) -> None:
        with self._database.write() as session:
            session.execute(sa.delete(Mail).where(col(Mail.id) == mail.id))

    def _message(self, letter: Letter) -> EmailMessage:
        """Build the message. Raises ValueError if a value contains a line break, which would add a header."""
        sender, recipient = mail_address(*parseaddr(self._sender)), mail_address("", letter.to)
        is_ascii = sender.username.isascii() and recipient.username.isascii()
        message = EmailMessage(policy=SMTP if is_ascii else SMTPUTF8)
        message["From"], message["To"] = sender, recipient
        message["Subject"] = letter.subject
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain=sender.domain)
        message["Auto-Submitted"] = "auto-generated"
        # Plain ASCII stays unencoded: quoted-printable would split a long link across two lines.
        message.set_content(letter.text, cte="7bit" if letter.text.isascii() else None)
        return message


@dataclass(frozen=True, slots=True)
class Server:
    """The parts of SMTP_URL. `smtps://` uses TLS from the start, `?starttls` after connecting."""

    host: str
    port: int
    user: str
    password: str
    is_tls: bool
    wants_starttls: bool
    client_name: str | None
    """How this server introduces itself. None: the name of the machine, or its address."""

    @classmethod
    def at(cls, url: str, client_name: str | None) -> "Server":
        """Parse a URL that the settings have validated."""
        parts: SplitResult = urlsplit(url)
        is_tls = parts.scheme == "smtps"
        wants_starttls = parts.query.lower() in STARTTLS
        port = parts.port or (465 if is_tls else 587 if wants_starttls else 25)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(parts.hostname or "", port, user, password, is_tls, wants_starttls, client_name)

    @contextlib.contextmanager
    def connected(self, *, signs_in: bool = True) -> Iterator[smtplib.SMTP]:
        """Connect, and sign in if the URL has a user, unless `signs_in` is false. Raises OSError,
        smtplib.SMTPException.
        """
        with self._connect() as smtp:
            try:
                if self.wants_starttls:
                    smtp.starttls(context=ssl.create_default_context())
                smtp.ehlo_or_helo_if_needed()
                if self.user and signs_in:
                    smtp.login(self.user, self.password)
            except smtplib.SMTPNotSupportedError as error:
                raise NotOffered from error
            yield smtp

    def _connect(self) -> smtplib.SMTP:
        if self.is_tls:
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(self.host, self.port, self.client_name, timeout=CONNECT_SECONDS, context=context)
        return smtplib.SMTP(self.host, self.port, self.client_name, timeout=CONNECT_SECONDS)


def open_mailer(settings: Settings, database: Database) -> Mailer:
    """Return the mailer for these settings. The caller starts it."""
    if not settings.smtp_url.get_secret_value():
        return Mailer(settings.public_url)
    return SmtpMailer(settings, database)


def _public_name(public_url: str) -> str | None:
    """Return the host of the URL if it is a public name, which mail servers accept from a client."""
    host = urls.host_of(public_url)
    return None if urls.is_local_name(host) or urls.address_of(host) else host


def _is_final(error: Exception) -> bool:
    """Return whether the server refused the recipient permanently (5xx; RFC 5321 section 4.2.1)."""
    if not isinstance(error, smtplib.SMTPRecipientsRefused):
        return False
    return all(code >= 500 for code, _ in error.recipients.values())
