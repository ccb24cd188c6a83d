"""Second factors of users, and sign-ins that wait for one."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from server.models.base import Utc, foreign_key, new_id, now


class SecondFactor(SQLModel, table=True):
    """A user's authenticator app (TOTP, RFC 6238)."""

    __tablename__ = "second_factors"

    user_id: str = Field(sa_column=foreign_key("users.id", primary_key=True))
    sealed_secret: bytes
    last_step: int = Field(sa_type=sa.BigInteger, description="the time step of the last accepted code")
    failures: int = Field(default=0, description="wrong codes since `failures_since`")
    failures_since: datetime = Field(default_factory=now, sa_type=Utc)
    created_at: datetime = Field(default_factory=now, sa_type=Utc)


class RecoveryCode(SQLModel, table=True):
    """One unused recovery code, found by its hash. Using it deletes the row."""

    __tablename__ = "recovery_codes"

    id: str = Field(default_factory=lambda: new_id("rec_"), primary_key=True)
    user_id: str = Field(sa_column=foreign_key("users.id", index=True))
    code_hash: str = Field(unique=True)


class PendingSignIn(SQLModel, table=True):
    """A sign-in in which the password was correct and the second factor is still missing. It is not a session and gives
    no access.
    """

    __tablename__ = "pending_sign_ins"

    id: str = Field(default_factory=lambda: new_id("psi_"), primary_key=True)
    user_id: str = Field(sa_column=foreign_key("users.id", index=True))
    token_hash: str = Field(unique=True)
    failures: int = 0
    expires_at: datetime = Field(sa_type=Utc, index=True)
