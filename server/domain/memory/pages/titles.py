"""The titles of memories, for pages that only name them."""

from collections.abc import Collection

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.access import Action, require_project
from server.domain.memory.excerpts import TITLE_LENGTH, title_of
from server.domain.memory.filters import Filters, conditions
from server.models import Memory
from server.principal import Principal

READ_LENGTH = 4 * TITLE_LENGTH


def titles_of(session: Session, principal: Principal, project_id: str, ids: Collection[str]) -> dict[str, str]:
    """Return the titles of these memories of the project by id, without deleted memories.

    Raises the errors of `require_project`.
    """
    project = require_project(session, principal, project_id, Action.READ)
    beginning = sa.func.substr(col(Memory.content), 1, READ_LENGTH)
    columns = (col(Memory.id), beginning, col(Memory.details))
    query = sa.select(*columns).where(*conditions(Filters(), project.id), col(Memory.id).in_(ids))
    return {memory_id: title_of(text, details) for memory_id, text, details in session.execute(query) if text.strip()}
