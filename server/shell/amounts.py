"""Counts what the database stores and what is waiting in it, for the metrics."""

import time
from contextlib import suppress
from dataclasses import dataclass

import anyio
import sqlalchemy as sa
from sqlmodel import Session, col

from server.errors import Unavailable
from server.models import IndexTask, Mail, Project
from server.models.base import now
from server.models.projects import deleted_projects
from server.shell.shares import Threads
from server.storage.database import Database
from server.storage.statements import count_rows

KEEP_SECONDS = 5.0
"""A result is reused for this long."""

TIMEOUT_SECONDS = 3.0
"""If the database does not answer within this time, its metrics are left out."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """`pending` is the number of changes that wait for the index, and `pending_seconds` the age of the oldest. `mails`
    is the number of mails to be sent.

    `deleted_projects` is the number of deleted projects whose data is still on disk.
    """

    memories: int
    pending: int
    pending_seconds: float
    mails: int
    deleted_projects: int


class AmountsReader:
    """Reads the amounts in one thread at most, so that a database that hangs blocks no other thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._thread = Threads("amounts", slots=1, share=1)
        self._reading = anyio.Lock()
        self._amounts: Amounts | None = None
        self._until = 0.0

    async def current(self) -> Amounts | None:
        """Return the amounts, at most `KEEP_SECONDS` old, or None while the database does not answer."""
        async with self._reading:
            if time.monotonic() >= self._until:
                self._amounts = await self._ask()
                self._until = time.monotonic() + KEEP_SECONDS
        return self._amounts

    async def _ask(self) -> Amounts | None:
        if not self._thread.used:
            with suppress(Unavailable), anyio.move_on_after(TIMEOUT_SECONDS):  # no thread can start
                return await self._thread.run("", self._read)
        return None

    def _read(self) -> Amounts | None:
        try:
            with self._database.read() as session:
                return _amounts(session)
        except sa.exc.SQLAlchemyError:
            return None


def _amounts(session: Session) -> Amounts:
    memories = session.scalar(sa.select(sa.func.coalesce(sa.func.sum(col(Project.memory_count)), 0)))
    pending = count_rows(session, IndexTask)
    oldest = session.scalar(sa.select(col(IndexTask.created_at)).order_by(col(IndexTask.number)).limit(1))
    mails = count_rows(session, Mail)
    deleted = count_rows(session, deleted_projects().subquery())
    seconds = max((now() - oldest).total_seconds(), 0.0) if oldest else 0.0
    return Amounts(int(memories or 0), pending, seconds, mails, deleted)
