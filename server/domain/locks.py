"""Row locks that put changes to the members, projects and owner of an organization in sequence.

Lock first, then read the rows that the decision depends on: on Postgres, they cannot change between the lock and the
commit. On SQLite, there is only one writer at a time, so these statements lock nothing. Lock a user before an
organization, as `accounts.delete` does, so that two transactions cannot wait for each other. For the same reason, lock
memories before their projects: memories from the newest on (`chunks.locked`), then projects by id.
"""

from typing import TypeVar

import sqlalchemy as sa
from sqlmodel import Session, col

from server.models import BegunDeletion, Import, Organization, Project, User
from server.models.projects import IS_DELETED
from server.storage.database import is_sqlite

Work = TypeVar("Work", BegunDeletion, Import)


def lock_organization(session: Session, organization_id: str) -> None:
    _lock(session, Organization, organization_id)


def lock_organization_of(session: Session, project_id: str) -> None:
    organization_id = sa.select(col(Project.organization_id)).where(col(Project.id) == project_id).scalar_subquery()
    _lock(session, Organization, organization_id)


def lock_project_shared(session: Session, project_id: str) -> bool:
    """Take a shared lock, so that the project cannot be deleted before the commit. Return whether it is still there."""
    query = sa.select(col(Project.id)).where(col(Project.id) == project_id, ~IS_DELETED)
    return session.scalar(query.with_for_update(read=True, key_share=True)) is not None


def locked_work(session: Session, table: type[Work], work_id: str) -> Work | None:
    """Return the import or deletion, unless its project is gone. Lock it after its project, so that two kinds of work
    cannot wait for each other.
    """
    project_id = session.scalar(sa.select(col(table.project_id)).where(col(table.id) == work_id))
    if project_id is None or not lock_project_shared(session, project_id):
        return None
    return session.get(table, work_id, populate_existing=True, with_for_update=True)


def lock_project(session: Session, project_id: str) -> None:
    """Lock the project, so that nobody else changes how many memories it has before the commit."""
    _lock(session, Project, project_id)


def lock_user(session: Session, user_id: str) -> None:
    """Lock the account, so that it cannot be deleted before the commit.

    Take this lock before giving a user anything that would outlive the account.
    """
    _lock(session, User, user_id)


def lock_hash(session: Session, digest: str) -> None:
    """Lock what the hexadecimal hash stands for, although there is no row for it yet, until the commit."""
    if not is_sqlite(session):
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(int(digest[:15], 16))))


def _lock(
    session: Session, table: type[Organization] | type[Project] | type[User], row_id: str | sa.ScalarSelect[str]
) -> None:
    session.execute(sa.select(col(table.id)).where(col(table.id) == row_id).with_for_update(key_share=True))
