"""Sign-in with an identity provider. The first time, the confirmed email address decides which user the identity
belongs to.
"""

import contextlib

from sqlmodel import Session

from server.domain import accounts, letters, names
from server.domain.accounts import SignUpPolicy
from server.domain.people import identities, sessions, users
from server.domain.people.sessions import BrowserInfo, SignIn
from server.errors import Forbidden, Invalid
from server.mailer import Mailer
from server.models import User
from server.principal import ExternalIdentity


class AddressUnconfirmed(Forbidden):
    sentence = "Your sign-in provider has not confirmed your email address: confirm it there first."


def sign_in(
    session: Session, policy: SignUpPolicy, external: ExternalIdentity, browser: BrowserInfo, mailer: Mailer
) -> SignIn:
    """Sign in to the account of this identity. A new identity is linked to the account with its address, or to a new
    one.

    Raises AddressUnconfirmed, NotInvited, SignUpClosed, Invalid, IdentityTaken.
    """
    user = identities.user_of(session, external)
    if user is None:
        user = _account_for(session, policy, external, mailer)
        identities.join(session, user, external)
    return sessions.complete_sign_in(session, user, browser)


def _account_for(session: Session, policy: SignUpPolicy, external: ExternalIdentity, mailer: Mailer) -> User:
    """Return the account with the identity's address, or create one. The provider has proved the address."""
    if not external.email:
        raise AddressUnconfirmed
    address = names.parse_email(external.email)
    user = users.locked_by_email(session, address)
    if user is None:
        accounts.require_admitted(session, policy, address)
        user = users.register(session, address, _name_of(external), None)
    else:
        _take_over(session, user, mailer)
    users.verify_email(session, user)
    return user


def _take_over(session: Session, user: User, mailer: Mailer) -> None:
    """End what was created in the account if its address was not confirmed before. Otherwise mail the user a notice."""
    if user.email_verified_at is not None:
        letters.send_security_notice(session, mailer, user, "Your sign-in provider can now sign you in.")
        return
    accounts.end_everything_unproven(session, user)
    user.password_hash = None


def _name_of(external: ExternalIdentity) -> str:
    with contextlib.suppress(Invalid):
        return names.parse_person_name(external.name)
    return ""
