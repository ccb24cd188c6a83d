"""The conditions that keep expired memories out of all answers."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import col

from server.models.memories import Memory


def is_live(moment: datetime | sa.BindParameter[datetime]) -> sa.ColumnElement[bool]:
    """Return the condition for memories that have not expired yet."""
    return sa.or_(col(Memory.expires_at).is_(None), col(Memory.expires_at) > moment)


def has_expired(moment: datetime | sa.BindParameter[datetime]) -> sa.ColumnElement[bool]:
    """Return the condition for memories that have expired. It can use an index."""
    return sa.and_(col(Memory.expires_at).is_not(None), col(Memory.expires_at) <= moment)
