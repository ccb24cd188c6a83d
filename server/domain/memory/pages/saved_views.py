"""Saved views: searches and filtered lists of a project, which a person saves under a name and alone can see."""

from collections.abc import Sequence

from sqlmodel import Session, select
from sqlmodel.sql.expression import SelectOfScalar

from server.domain import names
from server.domain.access import Action, require_project, require_session
from server.domain.constraints import flush_or_conflict
from server.domain.locks import lock_user
from server.errors import Conflict, Invalid, NotFound
from server.models import SavedView
from server.principal import Principal
from server.storage.statements import count_rows

MOST_VIEWS = 50
"""Maximum number of a person's views in one project."""

NAME_LENGTH = 60
QUERY_LENGTH = 4_000


class TooManyViews(Conflict):
    def __init__(self) -> None:
        super().__init__(f"You have {MOST_VIEWS} saved views in this project, which is the limit: delete one first.")


def list_own(session: Session, principal: Principal, project_id: str) -> Sequence[SavedView]:
    """Return the principal's views of the project, by name. Raises NotFound."""
    return sorted(session.exec(_own(session, principal, project_id)), key=lambda view: names.order_of(view.name))


def save(session: Session, principal: Principal, project_id: str, name: str, query: str) -> SavedView:
    """Keep the query under a name. Raises Invalid, NotFound, ViewNameTaken, TooManyViews."""
    cleaned = names.parse_line(name, NAME_LENGTH)
    if len(query) > QUERY_LENGTH:
        raise Invalid("This search is too long to be saved.")
    require_session(principal)
    lock_user(session, principal.user_id)
    own = _own(session, principal, project_id)
    if count_rows(session, own.subquery()) >= MOST_VIEWS:
        raise TooManyViews
    view = SavedView(
        project_id=project_id, user_id=principal.user_id, name=cleaned, name_key=names.key_of(cleaned), query=query
    )
    flush_or_conflict(session, view)
    return view


def rename(session: Session, principal: Principal, project_id: str, view_id: str, name: str) -> SavedView:
    """Raises Invalid, NotFound, ViewNameTaken."""
    view = _require(session, principal, project_id, view_id)
    view.name = names.parse_line(name, NAME_LENGTH)
    view.name_key = names.key_of(view.name)
    flush_or_conflict(session, view)
    return view


def delete(session: Session, principal: Principal, project_id: str, view_id: str) -> SavedView:
    """Raises NotFound."""
    view = _require(session, principal, project_id, view_id)
    session.delete(view)
    return view


def _own(session: Session, principal: Principal, project_id: str) -> SelectOfScalar[SavedView]:
    project = require_project(session, principal, project_id, Action.READ)
    return select(SavedView).where(SavedView.project_id == project.id, SavedView.user_id == principal.user_id)


def _require(session: Session, principal: Principal, project_id: str, view_id: str) -> SavedView:
    require_session(principal)
    view = session.exec(_own(session, principal, project_id).where(SavedView.id == view_id)).one_or_none()
    if view is None:
        raise NotFound("View not found.")
    return view
