"""Projects over HTTP."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from rest.http import call_of, person_call_of, read, reply, reply_created, session_call_of
from rest.organizations import CascadeCounts, DeletedWithAll, Name, NewName
from rest.views import Created, Creation
from server.domain.access import PROJECT_ACTIONS, Action
from server.domain.teams import projects
from server.domain.teams.projects import ProjectWithRole
from server.models import Project, ProjectRole
from server.runtime import State


class NewProject(Creation):
    name: Name
    organization_id: str


class ProjectCreated(Created):
    project_id: str
    id: str
    name: str
    organization_id: str
    role: ProjectRole = ProjectRole.ADMIN
    message: str = "Project created successfully"

    @classmethod
    def of(cls, project: Project) -> Self:
        return cls(project_id=project.id, id=project.id, name=project.name, organization_id=project.organization_id)


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


class ProjectView(BaseModel):
    id: str
    same_id: str = Field(serialization_alias="_id")
    name: str
    organization_id: str = Field(serialization_alias="organizationId")
    owner_id: str = Field(serialization_alias="ownerId", description="the owner of the organization")
    created_at: datetime = Field(serialization_alias="createdAt")
    updated_at: datetime = Field(serialization_alias="updatedAt")
    role: ProjectRole = Field(description="your role")
    user_permissions: Permissions = Field(serialization_alias="userPermissions")

    @classmethod
    def of(cls, workspace: ProjectWithRole) -> Self:
        project = workspace.project
        return cls(
            id=project.id,
            same_id=project.id,
            name=project.name,
            organization_id=project.organization_id,
            owner_id=workspace.owner_id,
            created_at=project.created_at,
            updated_at=project.updated_at,
            role=workspace.role,
            user_permissions=Permissions.of(workspace.role),
        )


class ProjectList(BaseModel):
    projects: list[ProjectView]
    total_count: int


async def create(request: Request[State]) -> Response:
    """Create a project in an organization. You become its admin."""
    call = await session_call_of(request)
    new = await read(request, NewProject)
    project = await call.run(projects.create, new.organization_id, new.name)
    return reply_created(ProjectCreated.of(project), new)


async def list_all(request: Request[State]) -> Response:
    """List your projects. An API key or token has exactly one."""
    call = await call_of(request)
    workspaces = await call.read(projects.list_projects)
    views = [ProjectView.of(workspace) for workspace in workspaces]
    return reply(ProjectList(projects=views, total_count=len(views)))


async def get(request: Request[State]) -> Response:
    """Read one project."""
    call = await call_of(request)
    workspace = await call.read(projects.get, request.path_params["project_id"])
    return reply(ProjectView.of(workspace))


async def rename(request: Request[State]) -> Response:
    """Give a project another name. Only for its admins."""
    call = await person_call_of(request)
    new = await read(request, NewName)
    workspace = await call.run(projects.rename, request.path_params["project_id"], new.name)
    return reply(ProjectView.of(workspace))


async def delete(request: Request[State]) -> Response:
    """Delete a project with everything in it. This cannot be undone."""
    call = await person_call_of(request)
    counts = await call.run(projects.delete, request.path_params["project_id"])
    return reply(DeletedWithAll(message="Project deleted successfully", cascades=CascadeCounts.of(counts)))
