"""Organizations over HTTP, and the trail of who changed rights in them."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from rest.http import read, read_query, reply, session_call_of
from rest.project_param import Object
from server.domain import audit
from server.domain.teams import organizations
from server.domain.teams.cascades import DeletedCounts
from server.domain.teams.organizations import Membership
from server.models import AuditEvent, Organization, OrganizationRole
from server.models.organizations import OrganizationKind
from server.runtime import State

Name = Annotated[str, Field(description="2 to 100 letters of any script, digits, spaces or any of - _ ' . &")]
EventId = Annotated[str, StringConstraints(pattern=r"^evt_[0-9a-f]{32}$")]


class NewOrganization(BaseModel):
    name: Name


class NewOwner(BaseModel):
    new_owner_id: str = Field(description="a member")


class OrganizationCreated(BaseModel):
    organization_id: str
    id: str
    name: str
    role: Literal[OrganizationRole.OWNER] = OrganizationRole.OWNER
    message: str = "Organization created successfully"

    @classmethod
    def of(cls, place: Organization) -> Self:
        return cls(organization_id=place.id, id=place.id, name=place.name)


class OrganizationView(BaseModel):
    id: str
    same_id: str = Field(serialization_alias="_id")
    name: str
    owner_id: str = Field(serialization_alias="ownerId")
    type: OrganizationKind
    created_at: datetime = Field(serialization_alias="createdAt")
    updated_at: datetime = Field(serialization_alias="updatedAt")
    role: OrganizationRole = Field(description="one's own")

    @classmethod
    def of(cls, seen: Membership) -> Self:
        place = seen.organization
        return cls(
            id=place.id,
            same_id=place.id,
            name=place.name,
            owner_id=place.owner_id,
            type=place.kind,
            created_at=place.created_at,
            updated_at=place.updated_at,
            role=seen.role,
        )


class OrganizationList(BaseModel):
    organizations: list[OrganizationView]


class Transferred(BaseModel):
    message: str = "Ownership transferred successfully"
    organization_id: str
    new_owner_id: str


class CascadeCounts(BaseModel):
    """How much was deleted along."""

    projects: int
    members: int
    invitations: int
    api_keys: int
    grants: int
    memories: int

    @classmethod
    def of(cls, counts: DeletedCounts) -> Self:
        return cls(**asdict(counts))


class DeletedWithAll(BaseModel):
    message: str
    cascades: CascadeCounts


class EventView(BaseModel):
    id: str
    type: str
    actor_id: str | None
    target: str = Field(description="the id of what it was done to")
    created_at: datetime
    metadata: Object

    @classmethod
    def of(cls, event: AuditEvent) -> Self:
        return cls(
            id=event.id,
            type=event.type,
            actor_id=event.actor_id,
            target=event.target,
            created_at=event.created_at,
            metadata=event.details,
        )


class EventList(BaseModel):
    events: list[EventView] = Field(description="the newest first")


class EventQuery(BaseModel):
    limit: int = Field(default=100, ge=1, le=1000)
    before: EventId | None = Field(default=None, description="only what is older than this event")


async def create(request: Request[State]) -> Response:
    """Make an organization; whoever makes it owns it."""
    call = await session_call_of(request)
    new = await read(request, NewOrganization)
    place = await call.run(organizations.create, new.name)
    return reply(OrganizationCreated.of(place))


async def list_all(request: Request[State]) -> Response:
    """List the organizations that one belongs to."""
    call = await session_call_of(request)
    places = await call.read(organizations.list_organizations)
    return reply(OrganizationList(organizations=[OrganizationView.of(place) for place in places]))


async def get(request: Request[State]) -> Response:
    """Read one organization."""
    call = await session_call_of(request)
    place = await call.read(organizations.get, request.path_params["organization_id"])
    return reply(OrganizationView.of(place))


async def delete(request: Request[State]) -> Response:
    """Delete an organization with everything in it. This cannot be undone."""
    call = await session_call_of(request)
    counts = await call.run(organizations.delete, request.path_params["organization_id"])
    return reply(DeletedWithAll(message="Organization deleted successfully", cascades=CascadeCounts.of(counts)))


async def transfer(request: Request[State]) -> Response:
    """Make a member the owner; the old owner becomes an admin."""
    call = await session_call_of(request)
    heir = await read(request, NewOwner)
    place = await call.run(organizations.transfer, request.path_params["organization_id"], heir.new_owner_id)
    return reply(Transferred(organization_id=place.id, new_owner_id=place.owner_id))


async def list_events(request: Request[State]) -> Response:
    """Read who changed rights, newest first. For the owner and admins."""
    call = await session_call_of(request)
    query = read_query(request, EventQuery)
    organization_id = request.path_params["organization_id"]
    events = await call.read(audit.list_events, organization_id, query.limit, query.before)
    return reply(EventList(events=[EventView.of(event) for event in events]))
