"""Mail over TLS: a certificate that is not valid delays a letter and loses none."""

import asyncio
from contextlib import closing
from pathlib import Path

from pydantic import SecretStr

from server.adapters.mail import open_mailer
from server.mailer import Delivery, Letter
from server.models import Mail
from server.settings import Settings
from server.storage.database import Database
from tests.support.hosts import make_certificate, serving


async def test_a_letter_waits_while_the_server_has_no_valid_certificate(settings: Settings, tmp_path: Path) -> None:
    _, certificate = make_certificate(tmp_path)
    with closing(Database(settings.database_url.get_secret_value(), connections=4)) as database:
        async with serving(certificate) as host:
            url = SecretStr(f"smtps://localhost:{host.port}")
            mailer = open_mailer(settings.model_copy(update={"smtp_url": url}), database)
            with database.write() as session:
                mail_id = mailer.queue(session, Letter(to="ann@example.com", subject="Hi", text="Hello"))
            assert mail_id
            assert await asyncio.to_thread(mailer.deliver, mail_id) is Delivery.LATER
        with database.read() as session:
            assert session.get(Mail, mail_id) is not None
