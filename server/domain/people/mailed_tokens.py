"""Single-use links that reach a person by mail: they prove that the mailbox is this person's."""

from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import Session, col

from server.hashing import MAILED_PREFIX, new_token, token_hash
from server.models import MailedToken
from server.models.base import now
from server.models.users import MailedPurpose

LIFETIME = timedelta(hours=1)


def issue(session: Session, user_id: str, purpose: MailedPurpose) -> str:
    """A new token, which ends all earlier ones of this purpose."""
    discard(session, user_id, purpose)
    token = new_token(MAILED_PREFIX)
    hashed, expires = token_hash(token), now() + LIFETIME
    session.add(MailedToken(user_id=user_id, purpose=purpose, token_hash=hashed, expires_at=expires))
    return token


def owner_of(session: Session, token: str, purpose: MailedPurpose) -> str | None:
    """The id of the user whom this token was sent to, while it counts."""
    return session.execute(sa.select(col(MailedToken.user_id)).where(*_counts(token, purpose))).scalar_one_or_none()


def redeem(session: Session, token: str, purpose: MailedPurpose) -> str | None:
    """As `owner_of`, and used up: of several at once one wins."""
    used = sa.delete(MailedToken).where(*_counts(token, purpose)).returning(col(MailedToken.user_id))
    return session.execute(used).scalar_one_or_none()


def discard(session: Session, user_id: str, purpose: MailedPurpose) -> None:
    session.execute(
        sa.delete(MailedToken).where(col(MailedToken.user_id) == user_id, col(MailedToken.purpose) == purpose)
    )


def _counts(token: str, purpose: MailedPurpose) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        col(MailedToken.token_hash) == token_hash(token),
        col(MailedToken.purpose) == purpose,
        col(MailedToken.expires_at) > now(),
    )
