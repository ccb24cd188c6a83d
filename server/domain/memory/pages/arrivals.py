"""Counts the memories that arrived since a page was shown."""

from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.access import Action, require_project
from server.domain.memory.filters import Filters, conditions
from server.models import Memory
from server.principal import Principal

MOST_COUNTED = 100


class Arrivals(NamedTuple):
    """How many memories arrived (at most MOST_COUNTED), and the name of the newest one's source."""

    memories: int
    source: str | None


def since(session: Session, principal: Principal, project_id: str, after: str) -> Arrivals:
    """Count the memories that are newer than the memory with the id `after`. Raises the errors of `require_project`."""
    project = require_project(session, principal, project_id, Action.READ)
    query = sa.select(col(Memory.source_name)).where(*conditions(Filters(), project.id), col(Memory.id) > after)
    sources = session.scalars(query.order_by(col(Memory.id).desc()).limit(MOST_COUNTED)).all()
    return Arrivals(len(sources), sources[0] if sources else None)
