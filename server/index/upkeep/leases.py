"""The leases by which processes share the index of a Postgres database.

The projects are divided into `SHARDS` parts. A process holds a part until its lease ends, and renews the lease while
it works. A process that hangs or dies loses its parts to the others. If it continues later, its fence no longer
matches the part's, so none of its writes succeeds. All times come from the database's clock.
"""

import logging
import os
import secrets
import socket
import time
from collections.abc import Collection
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlmodel import Session

from server.models import metadata
from server.storage.database import Database
from server.storage.database_failures import why
from server.storage.statements import count_rows

log = logging.getLogger(__name__)

SHARDS = 8
"""The number of parts, and of rows in `index_owners`."""

LEASE_SECONDS = 20.0
"""How long the parts of a dead process stay without an owner."""

RENEWALS = 3
"""How many times a lease is renewed before it would end."""

LOOK_SECONDS = 1.0
"""How often a process looks for free parts."""

_owners = metadata.tables["index_owners"]
_workers = metadata.tables["index_workers"]
_clock = sa.func.clock_timestamp(type_=sa.DateTime(timezone=True))


class LeaseLost(Exception):
    """Another process now owns the part that this one was working on, so this one must drop the work."""


def is_of(shards: Collection[int], project_id: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Match the projects of these shards."""
    if len(shards) == SHARDS:
        return sa.true()
    return sa.func.hashtext(project_id, type_=sa.Integer).bitwise_and(SHARDS - 1).in_(sorted(shards))


def owners(session: Session) -> list[str]:
    """Return the processes that currently own the index, and "" if some part has no owner."""
    holder = sa.case((_is_free(), ""), else_=_owners.c.holder)
    return sorted(set(session.scalars(sa.select(holder))))


class Leases:
    """The leases of one process. Only its worker's thread uses them. Processes that `share` the index each hold at
    most a fair share of the parts. Otherwise, one process holds all of them.
    """

    def __init__(self, database: Database, *, share: bool) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._database = database
        self._share = share
        self._fences: dict[int, int] = {}
        self._renew_at = 0.0
        self._look_at = 0.0

    @property
    def shards(self) -> frozenset[int]:
        return frozenset(self._fences)

    def balance(self) -> bool:
        """Renew the leases if it is time, give up parts beyond a fair share, and take free parts.

        Return False if this process has lost any part since the last call. Call it between two pieces of work.
        """
        moment = time.monotonic()
        if moment < min(self._look_at, self._renew_at):
            return True
        before = self._fences
        if moment >= self._renew_at or self._is_unbalanced():
            with self._database.write() as session:
                held, share = self._renewed(session), self._fair_share(session)
                if not before.items() <= held.items():
                    log.warning("another process took over a part of the index, because this one hung")
                self._give_up(session, sorted(held)[share:])
                kept = dict(sorted(held.items())[:share])
                self._fences = kept | self._taken(session, share - len(kept))
            self._renew_at = moment + LEASE_SECONDS / RENEWALS
        self._look_at = moment + min(LOOK_SECONDS, LEASE_SECONDS / RENEWALS)
        return before.items() <= self._fences.items()

    def renew(self) -> None:
        """Renew the leases if it is time. Long work calls it again and again. Raises LeaseLost."""
        if time.monotonic() >= self._renew_at:
            with self._database.write() as session:
                self._require(self._renewed(session))
            self._renew_at = time.monotonic() + LEASE_SECONDS / RENEWALS

    def require(self, session: Session) -> None:
        """Keep other processes from taking the parts until the transaction ends. Raises LeaseLost."""
        columns = _owners.c
        mine = sa.select(columns.shard, columns.fence).where(columns.holder == self.name)
        self._require(_as_fences(session.execute(mine.with_for_update(read=True))))

    def release(self) -> None:
        """Give up the parts, so that others can take them at once."""
        if not self._fences and not self._renew_at:
            return
        try:
            with self._database.write() as session:
                self._give_up(session, range(SHARDS))
                session.execute(sa.delete(_workers).where(_workers.c.name == self.name))
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            log.warning("leases were not given up; they will expire", extra={"reason": why(error)})
        self._fences = {}

    def end_leases_of(self, dead: str) -> None:
        """End the leases of a process that is known to be dead."""
        with self._database.write() as session:
            session.execute(sa.update(_owners).where(_owners.c.holder == dead).values(holder=None, expires_at=None))
            session.execute(sa.delete(_workers).where(_workers.c.name == dead))

    def _require(self, held: dict[int, int]) -> None:
        if not held or held != self._fences:
            self._renew_at = 0.0
            raise LeaseLost

    def _is_unbalanced(self) -> bool:
        with self._database.read() as session:
            share = self._fair_share(session)
            free = count_rows(session, _owners, _is_free())
        return len(self._fences) > share or (len(self._fences) < share and free > 0)

    def _fair_share(self, session: Session) -> int:
        """Return how many parts this process may hold: all parts divided by the living processes, rounded up."""
        if not self._share:
            return SHARDS
        living = count_rows(session, _workers, _has_time_left(_workers.c.expires_at))
        return -(-SHARDS // max(living, 1))

    def _renewed(self, session: Session) -> dict[int, int]:
        """Renew the leases that this process still has. Return their shards and fences."""
        ends = _clock + timedelta(seconds=LEASE_SECONDS)
        alive = postgresql.insert(_workers).values(name=self.name, expires_at=ends)
        session.execute(alive.on_conflict_do_update(index_elements=["name"], set_={"expires_at": ends}))
        session.execute(sa.delete(_workers).where(~_has_time_left(_workers.c.expires_at)))
        mine = sa.update(_owners).where(_owners.c.holder == self.name).values(expires_at=ends)
        return _as_fences(session.execute(mine.returning(_owners.c.shard, _owners.c.fence)))

    def _taken(self, session: Session, most: int) -> dict[int, int]:
        """Take free parts, except those that a transaction of their last holder still locks."""
        columns = _owners.c
        free = sa.select(columns.shard).where(_is_free()).order_by(columns.shard).limit(max(most, 0))
        shards = session.scalars(free.with_for_update(skip_locked=True)).all()
        new = {"holder": self.name, "fence": columns.fence + 1, "expires_at": _clock + timedelta(seconds=LEASE_SECONDS)}
        taking = sa.update(_owners).where(columns.shard.in_(shards)).values(new)
        return _as_fences(session.execute(taking.returning(columns.shard, columns.fence)))

    def _give_up(self, session: Session, shards: Collection[int]) -> None:
        mine = sa.and_(_owners.c.holder == self.name, _owners.c.shard.in_(shards))
        session.execute(sa.update(_owners).where(mine).values(holder=None, expires_at=None))


def _is_free() -> sa.ColumnElement[bool]:
    return sa.or_(_owners.c.holder.is_(None), ~_has_time_left(_owners.c.expires_at))


def _has_time_left(expires_at: sa.ColumnElement[datetime]) -> sa.ColumnElement[bool]:
    """Match leases that have not ended. One that would end much later was taken before the clock was set back."""
    return expires_at.between(_clock, _clock + timedelta(seconds=2 * LEASE_SECONDS))


def _as_fences(rows: sa.Result[int, int]) -> dict[int, int]:
    return {row.shard: row.fence for row in rows}
