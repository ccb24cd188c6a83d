"""A real SMTP server on loopback that keeps the letters it receives, and one that is down."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "mailer", "p@ss/word"


class Mailbox:
    """The handler, which keeps the letters in order. With `refusal`, every recipient gets that answer."""

    PATIENCE_SECONDS = 10.0

    def __init__(self) -> None:
        self.refusal: str | None = None
        self.letters: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.connections = 0
        self.greeted_by = ""
        self._arrived = threading.Condition()

    async def wait_for(self, count: int) -> None:
        """Wait until this many letters have arrived."""
        assert await asyncio.to_thread(self._wait_for, count), "the letter did not arrive"

    def _wait_for(self, count: int) -> bool:
        with self._arrived:
            return self._arrived.wait_for(lambda: len(self.letters) >= count, timeout=self.PATIENCE_SECONDS)

    async def handle_EHLO(
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = self.greeted_by = hostname
        self.connections += 1
        return responses

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.refusal is None:
            envelope.rcpt_tos.append(address)
        return self.refusal or "250 welcome"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        letter = message_from_bytes(envelope.original_content or b"", policy=default)
        assert isinstance(letter, EmailMessage)
        self.recipients += envelope.rcpt_tos
        with self._arrived:
            self.letters.append(letter)
            self._arrived.notify_all()
        return "250 kept"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def mail_server(
    port: int = 0, *, needs_sign_in: bool = False, only_ascii: bool = False
) -> Iterator[tuple[str, Mailbox]]:
    """Yield the SMTP URL of a running server, and its mailbox."""
    mailbox = Mailbox()
    port = port or free_port()
    controller = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=port,
        authenticator=_authenticate,
        auth_required=needs_sign_in,
        auth_require_tls=False,
        enable_SMTPUTF8=not only_ascii,
    )
    controller.start()
    account = f"{USER}:{PASSWORD.replace('@', '%40').replace('/', '%2F')}@" if needs_sign_in else ""
    try:
        yield f"smtp://{account}127.0.0.1:{port}", mailbox
    finally:
        controller.stop()


def _authenticate(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: object) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)  # so that the server answers with an error instead of silence


def link_in(letter: EmailMessage) -> str:
    """Return the path of the link in a letter."""
    text: str = letter.get_content()
    [line] = [line for line in text.splitlines() if line.startswith("http")]
    return "/" + line.split("/", 3)[3].strip()
