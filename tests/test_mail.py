"""Mail over a real SMTP server: sent after the commit, tried again, never able to leak or to break out of a header."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlmodel import Session

from server.adapters.mail import FIRST_RETRY, GIVE_UP_AFTER, open_mailer
from server.domain import letters, retention
from server.mailer import Delivery, Letter, Mailer
from server.models import Mail
from server.models.base import now
from server.settings import Settings, SettingsError, read_settings
from server.storage.database import Database
from tests.support.mail import free_port, mail_server

LETTER = Letter(
    to="ann@example.com", subject="Grüße", text="Hello,\n\nhttps://memory.example.com/verify-email/secret\n"
)


@pytest.fixture
def post(settings: Settings) -> Iterator[Database]:
    database = Database(settings.database_url.get_secret_value(), connections=4)
    yield database
    database.close()


def opened(settings: Settings, database: Database, url: str, **more: object) -> Mailer:
    return open_mailer(settings.model_copy(update={"smtp_url": SecretStr(url), **more}), database)


def waiting(database: Database) -> list[Mail]:
    with database.read() as session:
        return list(session.execute(sa.select(Mail)).scalars())


def promise(database: Database, mailer: Mailer, letter: Letter = LETTER) -> str:
    with database.write() as session:
        mail_id = mailer.queue(session, letter)
    assert mail_id is not None
    return mail_id


async def test_a_promised_letter_is_sent_after_the_commit(settings: Settings, post: Database) -> None:
    with mail_server() as (url, mailbox):
        mailer = opened(settings, post, url, mail_from="Grüße von Mémoire <no-reply@example.com>")
        mailer.start()
        promise(post, mailer)
        await mailbox.wait_for(1)
        mailer.close()
    [letter] = mailbox.letters
    assert (letter["to"], letter["subject"]) == ("ann@example.com", "Grüße")
    assert letter["from"] == "Grüße von Mémoire <no-reply@example.com>"
    assert letter["auto-submitted"] == "auto-generated"
    assert letter["message-id"].endswith("@example.com>"), "the sender's domain, as spam filters expect"
    assert letter.get_content().replace("\r\n", "\n") == LETTER.text
    assert waiting(post) == []


def test_what_is_rolled_back_is_not_sent(settings: Settings, post: Database) -> None:
    def fail(session: Session) -> None:
        mailer.queue(session, LETTER)
        raise ZeroDivisionError

    with mail_server() as (url, mailbox):
        mailer = opened(settings, post, url)
        with pytest.raises(ZeroDivisionError), post.write() as session:
            fail(session)
        mailer.start()
        mailer.close()
    assert waiting(post) == []
    assert mailbox.letters == []


def test_a_server_that_is_down_delays_a_letter_and_loses_none(settings: Settings, post: Database) -> None:
    port = free_port()
    mailer = opened(settings, post, f"smtp://127.0.0.1:{port}")
    mail_id = promise(post, mailer)
    assert mailer.deliver(mail_id) is Delivery.LATER
    assert mailer.answers(signs_in=True) is False
    [kept] = waiting(post)
    assert kept.attempts == 1
    assert FIRST_RETRY - timedelta(seconds=5) < kept.due_at - now() <= FIRST_RETRY
    with mail_server(port) as (_, mailbox):
        assert mailer.answers(signs_in=True) is True
        assert mailer.deliver(mail_id) is Delivery.SENT
    assert len(mailbox.letters) == 1
    assert waiting(post) == []


@pytest.mark.parametrize(
    ("said", "delivery", "kept"),
    [("450 greylisted, come back later", Delivery.LATER, 1), ("550 nobody of this name", Delivery.REFUSED, 0)],
)
def test_a_recipient_is_asked_for_again_unless_refused_for_good(
    settings: Settings, post: Database, said: str, delivery: Delivery, kept: int
) -> None:
    with mail_server() as (url, mailbox):
        mailbox.refusal = said
        mailer = opened(settings, post, url)
        mail_id = promise(post, mailer)
        assert mailer.deliver(mail_id) is delivery
        assert len(waiting(post)) == kept
        mailbox.refusal = None
        mailer.deliver(mail_id)
    assert len(mailbox.letters) == kept


def test_after_some_days_a_letter_is_given_up(settings: Settings, post: Database) -> None:
    mailer = opened(settings, post, f"smtp://127.0.0.1:{free_port()}")
    mail_id = promise(post, mailer)
    with post.write() as session:
        session.execute(sa.update(Mail).values(attempts=75))  # as it was tried once an hour for three days
    assert mailer.deliver(mail_id) is Delivery.LATER
    with post.write() as session:
        session.execute(sa.update(Mail).values(created_at=now() - GIVE_UP_AFTER - timedelta(seconds=1)))
    assert mailer.deliver(mail_id) is Delivery.REFUSED
    assert waiting(post) == []


def test_two_processes_send_a_letter_once(settings: Settings, post: Database) -> None:
    with mail_server() as (url, mailbox):
        one, other = opened(settings, post, url), opened(settings, post, url)
        for _ in range(20):
            promise(post, one)
        for mailer in (one, other):
            mailer.start()
        one.close()
        other.close()
        third = opened(settings, post, url)
        for mail in waiting(post):
            third.deliver(mail.id)
    assert len(mailbox.letters) == 20


@pytest.mark.filterwarnings("ignore:Requiring AUTH")  # the server of the test listens on loopback only
def test_the_server_may_ask_for_a_sign_in(settings: Settings, post: Database) -> None:
    with mail_server(needs_sign_in=True) as (url, mailbox):
        right, wrong = opened(settings, post, url), opened(settings, post, url.replace("mailer:", "somebody:"))
        assert (right.answers(signs_in=True), wrong.answers(signs_in=True)) == (True, False)
        assert right.deliver(promise(post, right)) is Delivery.SENT
    assert len(mailbox.letters) == 1


@pytest.mark.parametrize("option", ["?starttls", "?STARTTLS", "/?StartTLS=true"])
def test_a_letter_waits_while_the_server_does_not_offer_what_the_url_asks_for(
    settings: Settings, post: Database, option: str
) -> None:
    """It is neither lost, nor sent without the encryption."""
    with mail_server() as (url, mailbox):
        mailer = opened(settings, post, f"{url}{option}")
        assert mailer.deliver(promise(post, mailer)) is Delivery.LATER
        assert mailer.answers(signs_in=True) is False
    assert (len(waiting(post)), mailbox.letters) == (1, [])


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("smtp://mailer:pa/ss@mail.example.com", "write / as %2F"),
        ("smtp://mailer:pa#ss@mail.example.com", "# as %23"),
        ("smtp://mail.example.com?tls=starttls", "the only option is ?starttls"),
        ("smtp://mail.example.com?ssl=true", "the only option is ?starttls"),
    ],
)
def test_an_address_that_would_be_misread_stops_the_start(
    url: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFMEMORY_SMTP_URL", url)
    with pytest.raises(SettingsError) as refused:
        read_settings(env_file=None)
    assert str(refused.value).startswith("SELFMEMORY_SMTP_URL: ")
    assert advice in str(refused.value)
    assert "pa" not in str(refused.value).replace("password", "")


def test_102_a_letter_in_the_database_tells_nobody_anything(settings: Settings, post: Database) -> None:
    mailer = opened(settings, post, "smtp://127.0.0.1:1")
    promise(post, mailer)
    [kept] = waiting(post)
    assert b"secret" not in kept.sealed
    assert b"ann@" not in kept.sealed


async def test_a_letter_that_was_sealed_with_another_key_is_left_for_who_has_it(
    settings: Settings, post: Database
) -> None:
    with mail_server() as (url, mailbox):
        right = opened(settings, post, url, secret_key=SecretStr("x" * 40))
        other = opened(settings, post, url, secret_key=SecretStr("y" * 40))
        promise(post, right)
        other.start()
        promise(post, other)
        await mailbox.wait_for(1)
        other.close()
        [kept] = waiting(post)
        assert kept.attempts == 0
        assert other.deliver(kept.id) is Delivery.LATER
        assert right.deliver(kept.id) is Delivery.SENT
    assert len(mailbox.letters) == 2
    assert waiting(post) == []


async def test_a_letter_of_an_earlier_version_is_sent(settings: Settings, post: Database) -> None:
    with mail_server() as (url, mailbox):
        mailer = opened(settings, post, url)
        promise(post, mailer)
        with post.write() as session:
            session.execute(sa.update(Mail).values(key_id=None))
        mailer.start()
        await mailbox.wait_for(1)
        mailer.close()


def test_mail_that_nobody_can_read_is_removed_after_a_week(settings: Settings, post: Database) -> None:
    promise(post, opened(settings, post, "smtp://127.0.0.1:1"))
    with post.write() as session:
        assert retention.remove_ended(session) == 0
        session.execute(sa.update(Mail).values(created_at=now() - retention.MAIL_RETENTION))
        assert retention.remove_ended(session) == 1


@pytest.mark.parametrize(
    ("letter", "sent"),
    [
        (Letter(to="ann@example.com", subject="Hi\r\nBcc: eve@example.com", text="x"), False),
        (Letter(to="ann@example.com\r\nBcc: eve@example.com", subject="Hi", text="x"), False),
        (Letter(to="ann@example.com, eve@example.com", subject="Hi", text="x"), False),
        (Letter(to="ann@example.com", subject="Hi", text="\r\n.\r\nMAIL FROM:<eve@example.com>\r\n"), True),
    ],
)
def test_r32_nothing_breaks_out_of_a_letter(settings: Settings, post: Database, letter: Letter, sent: bool) -> None:
    with mail_server() as (url, mailbox):
        mailer = opened(settings, post, url)
        assert (mailer.deliver(promise(post, mailer, letter)) is Delivery.SENT) is sent
    assert mailbox.recipients == (["ann@example.com"] if sent else [])
    assert all(one["bcc"] is None for one in mailbox.letters)


async def test_a_letter_that_cannot_be_built_does_not_hold_up_the_others(settings: Settings, post: Database) -> None:
    with mail_server() as (url, mailbox):
        mailer = opened(settings, post, url)
        promise(post, mailer, Letter(to="@", subject="Hi", text="x"))
        promise(post, mailer)
        mailer.start()
        await mailbox.wait_for(1)
        mailer.close()
    assert mailbox.recipients == ["ann@example.com"]


def test_an_address_may_have_letters_outside_ascii(settings: Settings, post: Database) -> None:
    with mail_server() as (url, mailbox):
        mailer = opened(settings, post, url)
        letter = Letter(to="jörg@example.com", subject="Grüße", text="Hallo")
        assert mailer.deliver(promise(post, mailer, letter)) is Delivery.SENT
    assert mailbox.recipients == ["jörg@example.com"]


def test_a_domain_is_sent_in_ascii_to_servers_that_take_no_other(settings: Settings, post: Database) -> None:
    with mail_server(only_ascii=True) as (url, mailbox):
        mailer = opened(settings, post, url, mail_from="Straße <post@straße.de>")
        letter = Letter(to="ann@münchen.de", subject="Grüße", text="Hallo")
        assert mailer.deliver(promise(post, mailer, letter)) is Delivery.SENT
    assert mailbox.recipients == ["ann@xn--mnchen-3ya.de"]
    assert mailbox.letters[0]["from"] == "Straße <post@xn--strae-oqa.de>"


def test_the_server_introduces_itself_by_its_public_name(settings: Settings, post: Database) -> None:
    """Many mail servers refuse a container's name, and the address that Python sends in its place."""
    with mail_server() as (url, mailbox):
        mailer = opened(settings, post, url, public_url="https://memory.example.com:8443")
        assert mailer.deliver(promise(post, mailer)) is Delivery.SENT
    assert mailbox.greeted_by == "memory.example.com"


def test_a_long_link_stays_on_one_line(settings: Settings, post: Database) -> None:
    text = f"https://memory.example.com/{'x' * 200}\n"
    with mail_server() as (url, mailbox):
        mailer = opened(settings, post, url)
        mailer.deliver(promise(post, mailer, Letter(to="ann@example.com", subject="Hi", text=text)))
    assert text.strip() in mailbox.letters[0].as_string()


def test_without_a_server_nothing_is_promised(settings: Settings, post: Database) -> None:
    mailer = open_mailer(settings, post)
    with post.write() as session:
        assert mailer.queue(session, Letter(to="a@example.com", subject="Hi", text="Hi")) is None
    assert (mailer.is_on, waiting(post)) == (False, [])


def test_008_links_are_built_from_the_public_url_alone(settings: Settings, post: Database) -> None:
    public = settings.model_copy(update={"public_url": "https://memory.example.com", "smtp_url": SecretStr("smtp://x")})
    assert letters.invitation_link(open_mailer(public, post), "t") == "https://memory.example.com/accept-invitation/t"
