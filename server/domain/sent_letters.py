"""Limits letters to people who may not want them. Each such letter is recorded in a row, which counts for a day."""

from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.locks import lock_hash
from server.hashing import token_hash
from server.models import Invitation, SentLetter
from server.models.base import is_within
from server.models.invitations import InvitationStatus
from server.models.notifications import LetterKind
from server.storage.statements import count_rows

WINDOW = timedelta(days=1)
MOST_FOR_RECIPIENT = 10
"""Maximum number of letters of one pool to one address within `WINDOW`. Accepted invitations do not count."""

MOST_FOR_SENDER = 100
"""Maximum number of letters that one user may cause within `WINDOW`."""

POOLS = ((LetterKind.INVITATION, LetterKind.VERIFICATION), (LetterKind.RESET,))
"""Each pool has its own count. Reset letters are separate, so that other people's invitations cannot lock a user out.
"""


def admit(
    session: Session, kind: LetterKind, recipient: str, sender_id: str | None = None, invitation_id: str | None = None
) -> bool:
    """Count a letter that is about to be queued. Return False, without counting it, if a limit is reached.

    `recipient` is a normalized address. `sender_id` is the user who causes the letter, if it is not the recipient.
    """
    recipient_hash = token_hash(recipient)
    lock_hash(session, recipient_hash)  # two simultaneous letters must not both take the last free place
    if _to_recipient(session, kind, recipient_hash) >= MOST_FOR_RECIPIENT:
        return False
    if sender_id is not None and _of_sender(session, sender_id) >= MOST_FOR_SENDER:
        return False
    letter = SentLetter(kind=kind, recipient_hash=recipient_hash, sender_id=sender_id, invitation_id=invitation_id)
    session.add(letter)
    session.flush()
    return True


def admit_notice(session: Session, address: str, notice: str) -> bool:
    """Like `admit`, for a security notice to the owner of a confirmed address. Each notice has its own count, so that
    many of one kind cannot suppress another.
    """
    return admit(session, LetterKind.VERIFICATION, f"{address}\n{notice}")


def _to_recipient(session: Session, kind: LetterKind, recipient_hash: str) -> int:
    pool = next(kinds for kinds in POOLS if kind in kinds)
    query = (
        sa.select(sa.func.count())
        .select_from(SentLetter)
        .outerjoin(Invitation, col(Invitation.id) == SentLetter.invitation_id)
        .where(
            col(SentLetter.recipient_hash) == recipient_hash,
            is_within(col(SentLetter.created_at), WINDOW),
            col(SentLetter.kind).in_(pool),
            col(Invitation.status).is_distinct_from(InvitationStatus.ACCEPTED),
        )
    )
    return int(session.execute(query).scalar_one())


def _of_sender(session: Session, sender_id: str) -> int:
    is_recent = is_within(col(SentLetter.created_at), WINDOW)
    return count_rows(session, SentLetter, col(SentLetter.sender_id) == sender_id, is_recent)
