"""Row locks: changes of one organization's members, projects and owner happen one after the other.

Take the lock before reading what is decided upon. On SQLite a writing transaction is alone already and the statement
locks nothing; on Postgres the roles that are read afterwards are those that count at commit. A user is locked before
an organization: whoever deletes an account holds the user while taking what it belongs to.
"""

import sqlalchemy as sa
from sqlmodel import Session, col

from server.models import Organization, Project, User


def lock_organization(session: Session, organization_id: str) -> None:
    _lock(session, col(Organization.id) == organization_id)


def lock_organization_of(session: Session, project_id: str) -> None:
    """The organization that the project belongs to."""
    owner = sa.select(col(Project.organization_id)).where(col(Project.id) == project_id).scalar_subquery()
    _lock(session, col(Organization.id) == owner)


def lock_project_shared(session: Session, project_id: str) -> None:
    """Against the project being deleted meanwhile, by whoever puts something into it; holders do not wait for another.

    After it the project is there until the commit, or gone.
    """
    held = sa.select(col(Project.id)).where(col(Project.id) == project_id).with_for_update(read=True, key_share=True)
    session.execute(held)


def lock_user(session: Session, user_id: str) -> None:
    """Against the account being deleted meanwhile, by whoever gives it something that would outlive it."""
    session.execute(sa.select(col(User.id)).where(col(User.id) == user_id).with_for_update(key_share=True))


def _lock(session: Session, condition: sa.ColumnElement[bool]) -> None:
    session.execute(sa.select(col(Organization.id)).where(condition).with_for_update(key_share=True))
