"""Projects over HTTP."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import AliasPath, BaseModel, BeforeValidator, Field, model_validator
from starlette.requests import Request
from starlette.responses import Response

from rest.http import call_of, read, reply, reply_created
from rest.organizations import CascadeCounts, DeletedWithAll, Name
from rest.views import Change, Created, Creation, OfRow
from server.domain.access import PROJECT_ACTIONS, Action
from server.domain.memory.parameters import parse_number
from server.domain.teams import projects
from server.domain.teams.projects import ProjectWithRole
from server.models import ProjectRole
from server.quotas import MOST_TRASH_DAYS
from server.shell.runtime import State

TrashDays = Annotated[int, Field(ge=0, le=MOST_TRASH_DAYS), BeforeValidator(parse_number)]


class NewProject(Creation):
    name: Name
    organization_id: str


class ProjectCreated(Created, OfRow):
    project_id: str = Field(validation_alias=AliasPath("id"))
    id: str
    name: str
    organization_id: str
    role: ProjectRole = ProjectRole.ADMIN
    message: str = "Project created successfully"


class Permissions(BaseModel):
    can_read: bool = Field(serialization_alias="canRead")
    can_write: bool = Field(serialization_alias="canWrite")
    can_delete: bool = Field(serialization_alias="canDelete", description="delete memories")
    can_invite: bool = Field(serialization_alias="canInvite")

    @classmethod
    def of(cls, role: ProjectRole) -> Self:
        allowed = PROJECT_ACTIONS[role]
        may_write = Action.WRITE in allowed
        return cls(
            can_read=Action.READ in allowed,
            can_write=may_write,
            can_delete=may_write,
            can_invite=Action.MANAGE_MEMBERS in allowed,
        )


class ProjectView(OfRow):
    id: str
    same_id: str = Field(validation_alias=AliasPath("id"), serialization_alias="_id")
    name: str
    organization_id: str = Field(serialization_alias="organizationId")
    owner_id: str = Field(serialization_alias="ownerId", description="the owner of the organization")
    created_at: datetime = Field(serialization_alias="createdAt")
    updated_at: datetime = Field(serialization_alias="updatedAt")
    role: ProjectRole = Field(description="your role")
    user_permissions: Permissions = Field(serialization_alias="userPermissions")
    trash_days: int | None = Field(
        description="for how many days deleted memories can be restored; null: the server's default"
    )

    @classmethod
    def of_entry(cls, entry: ProjectWithRole) -> Self:
        return cls.of(entry.project, **entry._asdict(), user_permissions=Permissions.of(entry.role))


class ProjectChange(Change):
    name: Name | None = None
    trash_days: TrashDays | None = Field(
        default=None,
        description="for how many days deleted memories can be restored; 0: not at all; null: the server's default",
    )

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.name is None and "trash_days" not in self.model_fields_set:
            raise ValueError("name or trash_days: give at least one of them")
        return self


class ProjectList(BaseModel):
    projects: list[ProjectView]
    total_count: int


async def create(request: Request[State]) -> Response:
    """Create a project in an organization. You become its admin."""
    call = await call_of(request)
    new = await read(request, NewProject)
    project = await call.run(projects.create, new.organization_id, new.name)
    return reply_created(ProjectCreated.of(project), new)


async def list_all(request: Request[State]) -> Response:
    """List your projects. An API key or token has exactly one."""
    call = await call_of(request)
    entries = await call.read(projects.list_projects)
    views = [ProjectView.of_entry(entry) for entry in entries]
    return reply(ProjectList(projects=views, total_count=len(views)))


async def get(request: Request[State]) -> Response:
    """Read one project."""
    call = await call_of(request)
    entry = await call.read(projects.get, request.path_params["project_id"])
    return reply(ProjectView.of_entry(entry))


async def change(request: Request[State]) -> Response:
    """Change a project's name, or how long its trash keeps memories. Only for its admins."""
    call = await call_of(request)
    body = await read(request, ProjectChange)
    days = {"trash_days": body.trash_days} if "trash_days" in body.model_fields_set else {}
    entry = await call.run(projects.change, request.path_params["project_id"], body.name, **days)
    return reply(ProjectView.of_entry(entry))


async def delete(request: Request[State]) -> Response:
    """Delete a project with everything in it. This cannot be undone."""
    call = await call_of(request)
    counts = await call.run(projects.delete, request.path_params["project_id"])
    return reply(DeletedWithAll(message="Project deleted successfully", cascades=CascadeCounts.of(counts)))
