"""The project and the end user of a request, which its query, its body or both may name."""

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints
from starlette.requests import Request

from rest.http import read_query, single_value
from server.domain.memory.metadata import UserId
from server.runtime import State

ProjectId = Annotated[str, StringConstraints(min_length=1)]


class InProject(BaseModel):
    project_id: ProjectId | None = Field(default=None, description="required with a session")


class OfUser(InProject):
    user_id: UserId | None = None


def project_of(request: Request[State], *in_body: str | None) -> str | None:
    """Return the project that the query or the body names. Raises Invalid if two differ."""
    return single_value("project_id", read_query(request, InProject).project_id, *in_body)
