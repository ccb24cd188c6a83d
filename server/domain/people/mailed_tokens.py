"""Single-use tokens in links. A mailed token proves that its user can read the mailbox."""

from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.locks import lock_user
from server.hashing import MAILED_PREFIX, new_token, token_hash
from server.models import MailedToken
from server.models.base import is_within, now
from server.models.users import MailedPurpose

LIFETIME = timedelta(hours=1)
LETTER_EVERY = timedelta(minutes=5)
"""The minimum time between two letters with a link to the same account. The earlier link still works."""


def issue(
    session: Session, user_id: str, purpose: MailedPurpose, *, was_mailed: bool = True, address: str | None = None
) -> str:
    """Return a new token. Earlier ones stay valid until they expire or one of them is redeemed. `was_mailed` is False
    for a token that is also shown elsewhere, so it does not prove who owns the mailbox. `address` is the new address
    of a `CHANGE`.
    """
    token = new_token(MAILED_PREFIX)
    session.add(
        MailedToken(
            user_id=user_id,
            purpose=purpose,
            token_hash=token_hash(token),
            was_mailed=was_mailed,
            address=address,
            expires_at=now() + LIFETIME,
        )
    )
    return token


def was_just_mailed(session: Session, user_id: str, purpose: MailedPurpose, address: str | None = None) -> bool:
    """Return whether the user was mailed a token for this purpose, and for a `CHANGE` this new address, within
    `LETTER_EVERY`, and has not redeemed one since.
    """
    query = sa.select(sa.literal(1)).where(
        col(MailedToken.user_id) == user_id,
        col(MailedToken.purpose) == purpose,
        is_within(col(MailedToken.created_at), LETTER_EVERY),
        col(MailedToken.address).is_not_distinct_from(address),
        col(MailedToken.was_mailed),
    )
    return session.execute(query.limit(1)).first() is not None


def find(session: Session, token: str, purpose: MailedPurpose) -> MailedToken | None:
    """Return the row of a valid token."""
    return session.execute(sa.select(MailedToken).where(*_is_valid(token, purpose))).scalar_one_or_none()


def redeem(session: Session, token: str, purpose: MailedPurpose) -> bool:
    """Lock the user of a valid token, and end all of the user's tokens for this purpose. Return whether the token was
    valid. Only one of several requests succeeds.
    """
    row = find(session, token, purpose)
    if row is None:
        return False
    lock_user(session, row.user_id)
    deletion = sa.delete(MailedToken).where(*_is_valid(token, purpose)).returning(col(MailedToken.user_id))
    if session.execute(deletion).one_or_none() is None:
        return False
    discard(session, row.user_id, purpose)
    return True


def discard(session: Session, user_id: str, purpose: MailedPurpose) -> None:
    """Delete the user's tokens for this purpose."""
    of_user = (col(MailedToken.user_id) == user_id, col(MailedToken.purpose) == purpose)
    session.execute(sa.delete(MailedToken).where(*of_user))


def _is_valid(token: str, purpose: MailedPurpose) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        col(MailedToken.token_hash) == token_hash(token),
        col(MailedToken.purpose) == purpose,
        col(MailedToken.expires_at) > now(),
    )
