"""Members of organizations and projects over HTTP."""

from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from rest.http import call_of, read, reply, reply_created
from rest.invitations import PendingInvitation
from rest.views import Change, Created, Creation, OfRow
from server.domain.teams import invitations, organization_members, project_members
from server.domain.teams.cascades import DeletedCounts
from server.domain.teams.organization_members import Member
from server.models import OrganizationRole, ProjectRole
from server.shell.runtime import State


class OrganizationRoleChange(Change):
    role: Literal[OrganizationRole.ADMIN, OrganizationRole.MEMBER]


class ProjectRoleChange(Change):
    role: ProjectRole


class NewProjectMember(Creation):
    user_id: str = Field(description="the id of a member of the project's organization")
    role: ProjectRole


class MemberView(OfRow):
    user_id: str = Field(serialization_alias="userId")
    email: str | None
    name: str
    role: str
    joined_at: datetime = Field(serialization_alias="joinedAt")


class MemberList(BaseModel):
    members: list[MemberView]
    pending_invitations: list[PendingInvitation] = Field(description="empty unless you may invite")
    total_count: int = Field(description="how many members")

    @classmethod
    def of(cls, members: list[Member], pending: list[invitations.PendingInvitation]) -> Self:
        return cls(
            members=[MemberView.of(member) for member in members],
            pending_invitations=[PendingInvitation.of(one.invitation, **one._asdict()) for one in pending],
            total_count=len(members),
        )


CANCELLED = Field(description="how many pending invitations to and from the person were canceled")


class RoleChanged(BaseModel):
    message: str
    user_id: str
    role: str
    invitations: int = CANCELLED


class MemberAdded(Created):
    message: str = "Member added successfully"
    project_id: str
    user_id: str
    role: ProjectRole


class MemberRemoved(BaseModel):
    message: str
    user_id: str
    api_keys: int = Field(description="how many of the member's API keys were deleted")
    invitations: int = CANCELLED

    @classmethod
    def of(cls, user_id: str, removal: DeletedCounts) -> Self:
        return cls(
            message=with_canceled("Member removed successfully", removal.invitations),
            user_id=user_id,
            api_keys=removal.api_keys,
            invitations=removal.invitations,
        )


def with_canceled(message: str, invitations: int) -> str:
    """Return the message, with the number of canceled invitations if there are any."""
    if not invitations:
        return message
    return f"{message}; {invitations} pending invitation{'s were' if invitations > 1 else ' was'} canceled"


async def list_of_organization(request: Request[State]) -> Response:
    """List an organization's members, with pending invitations if you may invite."""
    call = await call_of(request)
    organization_id = request.path_params["organization_id"]
    members = await call.read(organization_members.list_members, organization_id)
    pending = await call.read(invitations.list_pending, organization_id)
    return reply(MemberList.of(members, pending))


async def change_in_organization(request: Request[State]) -> Response:
    """Change a member's role in an organization."""
    call = await call_of(request)
    change = await read(request, OrganizationRoleChange)
    organization_id, user_id = request.path_params["organization_id"], request.path_params["user_id"]
    cancelled = await call.run(organization_members.change_role, organization_id, user_id, change.role)
    return _role_changed(user_id, change.role, cancelled)


async def remove_from_organization(request: Request[State]) -> Response:
    """Remove a member from an organization and its projects, or leave it. The member's API keys there are deleted."""
    call = await call_of(request)
    user_id = request.path_params["user_id"]
    removal = await call.run(organization_members.remove, request.path_params["organization_id"], user_id)
    return reply(MemberRemoved.of(user_id, removal))


async def list_of_project(request: Request[State]) -> Response:
    """List everyone with access to a project, with pending invitations if you may invite."""
    call = await call_of(request)
    project_id = request.path_params["project_id"]
    members = await call.read(project_members.list_members, project_id)
    pending = await call.read(invitations.list_pending_for_project, project_id)
    return reply(MemberList.of(members, pending))


async def add_to_project(request: Request[State]) -> Response:
    """Give a member of the organization a role in a project."""
    call = await call_of(request)
    new = await read(request, NewProjectMember)
    project_id = request.path_params["project_id"]
    await call.run(project_members.add, project_id, new.user_id, new.role)
    return reply_created(MemberAdded(project_id=project_id, user_id=new.user_id, role=new.role), new)


async def change_in_project(request: Request[State]) -> Response:
    """Change a member's role in a project."""
    call = await call_of(request)
    change = await read(request, ProjectRoleChange)
    user_id = request.path_params["user_id"]
    cancelled = await call.run(project_members.change_role, request.path_params["project_id"], user_id, change.role)
    return _role_changed(user_id, change.role, cancelled)


async def remove_from_project(request: Request[State]) -> Response:
    """Remove a member from a project, or leave it. The member's API keys there are deleted."""
    call = await call_of(request)
    user_id = request.path_params["user_id"]
    removal = await call.run(project_members.remove, request.path_params["project_id"], user_id)
    return reply(MemberRemoved.of(user_id, removal))


def _role_changed(user_id: str, role: str, cancelled: int) -> Response:
    message = with_canceled("Member role updated successfully", cancelled)
    return reply(RoleChanged(message=message, user_id=user_id, role=role, invitations=cancelled))
