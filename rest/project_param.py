"""The project and the end user of a request. The query, the body or both may name them."""

from typing import Annotated

from pydantic import Field, StringConstraints
from starlette.requests import Request

from rest.http import read_query, single_value
from rest.views import Change
from server.domain.access import require_project_of
from server.domain.memory.inputs import NewMemory
from server.domain.memory.metadata import UserId
from server.shell.runtime import Call, State

GivenId = Annotated[str, StringConstraints(min_length=1)]


class InProject(Change):
    project_id: GivenId | None = Field(
        default=None, description="required with a session, unless the path names a memory"
    )
    organization_id: GivenId | None = Field(default=None, description="must be the organization of the project")


class OfUser(InProject):
    user_id: UserId | None = Field(default=None, description="only memories of this end user; of all, if left out")


async def project_of(request: Request[State], call: Call, *bodies: InProject | NewMemory) -> str | None:
    """Return the project that the query or a body names. Raises Invalid if two differ.

    Raises NotFound if the request names an organization that is not the project's.
    """
    if not bodies and not request.scope["query_string"]:
        return None
    sources = [read_query(request, InProject), *bodies]
    project_id = single_value("project_id", *(body.project_id for body in sources))
    organization_id = single_value("organization_id", *(body.organization_id for body in sources))
    if organization_id is not None:
        await call.read(require_project_of, project_id, organization_id)
    return project_id
