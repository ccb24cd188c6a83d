"""Organizations over HTTP, with their ownership and their audit trail."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AliasPath, BaseModel, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from rest.http import call_of, read, read_query, reply, reply_created
from rest.views import Change, Created, Creation, OfRow, StoredObject
from server.domain import audit
from server.domain.teams import organizations
from server.domain.teams.organizations import Membership
from server.models import OrganizationRole
from server.models.organizations import OrganizationKind
from server.shell.runtime import State

Name = Annotated[str, Field(description="2 to 100 letters of any script, digits, spaces or any of - _ ' . &")]
EventId = Annotated[str, StringConstraints(pattern=r"^evt_[0-9a-f]{32}$")]


class NewOrganization(Creation):
    name: Name


class NewName(Change):
    name: Name


class NewOwner(Change):
    new_owner_id: str = Field(description="the id of a member")


class OrganizationCreated(Created, OfRow):
    organization_id: str = Field(validation_alias=AliasPath("id"))
    id: str
    name: str
    role: Literal[OrganizationRole.OWNER] = OrganizationRole.OWNER
    message: str = "Organization created successfully"


class OrganizationView(OfRow):
    id: str
    same_id: str = Field(validation_alias=AliasPath("id"), serialization_alias="_id")
    name: str
    owner_id: str = Field(serialization_alias="ownerId")
    type: OrganizationKind = Field(validation_alias="kind")
    created_at: datetime = Field(serialization_alias="createdAt")
    updated_at: datetime = Field(serialization_alias="updatedAt")
    role: OrganizationRole = Field(description="your role")

    @classmethod
    def of_membership(cls, membership: Membership) -> Self:
        return cls.of(membership.organization, role=membership.role)


class OrganizationList(BaseModel):
    organizations: list[OrganizationView]


class Transferred(BaseModel):
    message: str = "Ownership transferred successfully"
    organization_id: str
    new_owner_id: str


class CascadeCounts(OfRow):
    """How many records were deleted with the project, organization or account."""

    projects: int
    members: int
    invitations: int
    api_keys: int
    grants: int
    memories: int


class DeletedWithAll(BaseModel):
    message: str
    cascades: CascadeCounts


class EventView(OfRow):
    id: str
    type: str
    actor_id: str | None
    target: str = Field(description="the id of the record that was changed")
    created_at: datetime
    metadata: StoredObject = Field(validation_alias="details")


class EventList(BaseModel):
    events: list[EventView] = Field(description="newest first")


class EventQuery(Change):
    limit: int = Field(default=100, ge=1, le=1000)
    before: EventId | None = Field(default=None, description="only events older than this one")


async def create(request: Request[State]) -> Response:
    """Create an organization. You become its owner."""
    call = await call_of(request)
    new = await read(request, NewOrganization)
    organization = await call.run(organizations.create, new.name)
    return reply_created(OrganizationCreated.of(organization), new)


async def list_all(request: Request[State]) -> Response:
    """List the organizations that you belong to."""
    call = await call_of(request)
    memberships = await call.read(organizations.list_organizations)
    views = [OrganizationView.of_membership(membership) for membership in memberships]
    return reply(OrganizationList(organizations=views))


async def get(request: Request[State]) -> Response:
    """Read one organization."""
    call = await call_of(request)
    membership = await call.read(organizations.get, request.path_params["organization_id"])
    return reply(OrganizationView.of_membership(membership))


async def rename(request: Request[State]) -> Response:
    """Give an organization another name. Only for the owner and admins."""
    call = await call_of(request)
    new = await read(request, NewName)
    membership = await call.run(organizations.rename, request.path_params["organization_id"], new.name)
    return reply(OrganizationView.of_membership(membership))


async def delete(request: Request[State]) -> Response:
    """Delete an organization with everything in it. This cannot be undone."""
    call = await call_of(request)
    counts = await call.run(organizations.delete, request.path_params["organization_id"])
    return reply(DeletedWithAll(message="Organization deleted successfully", cascades=CascadeCounts.of(counts)))


async def transfer(request: Request[State]) -> Response:
    """Transfer ownership to a member. The previous owner becomes an admin."""
    call = await call_of(request)
    new = await read(request, NewOwner)
    organization = await call.run(organizations.transfer, request.path_params["organization_id"], new.new_owner_id)
    return reply(Transferred(organization_id=organization.id, new_owner_id=organization.owner_id))


async def list_events(request: Request[State]) -> Response:
    """List the organization's audit trail, newest first. Only for the owner and admins."""
    call = await call_of(request)
    query = read_query(request, EventQuery)
    organization_id = request.path_params["organization_id"]
    events = await call.read(audit.list_events, organization_id, query.limit, query.before)
    return reply(EventList(events=[EventView.of(event) for event in events]))
