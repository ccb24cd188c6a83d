"""A new password, a new address and a sign-in at the same moment: none works with what the other has replaced."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import TypeVar

import pytest
from sqlmodel import Session, col, select

from server.domain import accounts, addresses
from server.domain.locks import lock_user
from server.domain.people import mailed_tokens, passwords, sessions, users
from server.domain.people.passwords import WrongPassword
from server.domain.people.sessions import BrowserInfo
from server.domain.teams import api_keys
from server.domain.teams.api_keys import NewKey
from server.hashing import password_hash
from server.mailer import Letter, Mailer
from server.models import ApiKey, BrowserSession, Project, User
from server.models.users import MailedPurpose
from tests.conftest import ORIGIN
from tests.support.world import World, wait_for_a_waiter

OLD, NEW, OTHER = "correct horse battery", "staple of the stable", "another good secret"
ADDRESS = "a@example.com"
BROWSER = BrowserInfo(days=1)
MAILER = Mailer(ORIGIN)

T = TypeVar("T")


class Outbox(Mailer):
    """A mailer that is on and keeps the letters."""

    is_on = True

    def __init__(self) -> None:
        super().__init__(ORIGIN)
        self.letters: list[Letter] = []

    def queue(self, session: Session, letter: Letter, *, wait: timedelta = timedelta(0)) -> str | None:
        self.letters.append(letter)
        return "mail_1"


def user_in(session: Session, world: World) -> User:
    return session.get_one(User, world.principal.user_id)


@pytest.fixture(autouse=True)
def _has_password(world: World) -> None:
    with world.database.write() as session:
        user_in(session, world).password_hash = password_hash(OLD)


def at_the_same_moment(world: World, first: Callable[[Session], object], second: Callable[[Session], T]) -> Future[T]:
    """Run the second in another transaction, which begins before the first commits."""

    def run() -> T:
        with world.database.write() as session:
            return second(session)

    with ThreadPoolExecutor(1) as threads:
        with world.database.write() as session:
            first(session)
            session.flush()
            result = threads.submit(run)
            wait_for_a_waiter(world.database)
        result.exception(20)
    return result


def change_to(world: World, new: str) -> Callable[[Session], str]:
    return lambda session: passwords.change(session, world.principal, OLD, new, BROWSER, MAILER)


def test_of_two_changes_of_a_password_one_is_refused(world: World) -> None:
    second = at_the_same_moment(world, change_to(world, NEW), change_to(world, OTHER))
    assert isinstance(second.exception(), WrongPassword)
    with world.database.read() as session:
        assert len(session.exec(select(BrowserSession)).all()) == 1


def test_nobody_signs_in_with_the_password_that_is_being_replaced(world: World) -> None:
    signing_in = at_the_same_moment(
        world, change_to(world, NEW), lambda session: sessions.sign_in(session, ADDRESS, OLD, BROWSER)
    )
    assert signing_in.result() is None


def test_nobody_signs_in_with_the_address_that_is_being_replaced(world: World) -> None:
    signing_in = at_the_same_moment(
        world,
        lambda session: addresses.change(session, user_in(session, world), "new@example.com", MAILER),
        lambda session: sessions.sign_in(session, ADDRESS, OLD, BROWSER),
    )
    assert signing_in.result() is None


def test_no_reset_link_goes_to_the_address_that_is_being_replaced(world: World) -> None:
    outbox = Outbox()
    at_the_same_moment(
        world,
        lambda session: addresses.change(session, user_in(session, world), "new@example.com", MAILER),
        lambda session: passwords.mail_reset_link(session, ADDRESS, outbox),
    ).result()
    assert outbox.letters == []


def test_a_reset_keeps_the_keys_of_an_account_that_was_just_verified(world: World) -> None:
    with world.database.write() as session:
        user = user_in(session, world)
        user.email_verified_at = None
        token = mailed_tokens.issue(session, user.id, MailedPurpose.RESET)
        api_keys.issue(session, session.get_one(Project, world.project_id), user.id, NewKey("key", ["read"]))

    def verify(session: Session) -> None:
        lock_user(session, world.principal.user_id)
        users.verify_email(session, user_in(session, world))

    at_the_same_moment(
        world,
        verify,
        lambda session: accounts.reset_password(session, token, NEW, BROWSER, MAILER, end_access=False),
    ).result()
    with world.database.read() as session:
        assert session.exec(select(ApiKey).where(col(ApiKey.created_by) == world.principal.user_id)).all()
