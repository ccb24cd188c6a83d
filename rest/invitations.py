"""Invitations over HTTP: sending and cancelling, and answering one's own."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, Field, RootModel
from starlette.requests import Request
from starlette.responses import Response

from rest.http import person_call_of, read, reply, session_call_of
from server.domain.letters import invitation_link
from server.domain.teams import invitation_answers, invitations
from server.domain.teams.invitation_answers import ID_PREFIX, AcceptedInvitation, Offer
from server.domain.teams.invitations import Assignment, NewInvitation
from server.errors import Unauthenticated
from server.mail import Delivery
from server.models import OrganizationRole, ProjectRole
from server.models.invitations import InvitationStatus
from server.principal import Principal
from server.request_credentials import credential_of
from server.runtime import Call, State

NOT_MAILED = "Invitation created. No mail is sent from this server: share the link."
SAID = {
    Delivery.SENT: "Invitation created and mailed.",
    Delivery.LATER: "Invitation created. The mail server is away: the mail will be tried again, or share the link.",
    Delivery.REFUSED: "Invitation created. The mail server refused this address: share the link.",
}


class OrganizationInvitation(BaseModel):
    email: str
    role: Literal[OrganizationRole.ADMIN, OrganizationRole.MEMBER]
    project_ids: list[str] = Field(default=[], alias="projectIds", max_length=100)
    project_roles: dict[str, ProjectRole] = Field(
        default={}, alias="projectRoles", description="by project id; viewer where none is given"
    )

    def projects(self) -> Mapping[str, ProjectRole]:
        named = [*self.project_ids, *self.project_roles]
        return {project_id: self.project_roles.get(project_id, ProjectRole.VIEWER) for project_id in named}


class ProjectInvitation(BaseModel):
    email: str
    role: ProjectRole


class AssignmentView(BaseModel):
    project_id: str
    project_name: str
    role: ProjectRole

    @classmethod
    def of(cls, assignment: Assignment) -> Self:
        return cls(project_id=assignment.project.id, project_name=assignment.project.name, role=assignment.role)


class InvitationSent(BaseModel):
    invitation_id: str
    email: str
    organization_id: str
    project_id: str | None
    role: str
    project_assignments: list[AssignmentView]
    token: str = Field(description="shown once, ever; it joins, and unlike the token in the letter proves no mailbox")
    link: str
    expires_at: datetime
    message: str = Field(description="also whether the mail went out")

    @classmethod
    def of(cls, invited: NewInvitation, link: str, message: str) -> Self:
        invitation = invited.invitation
        return cls(
            invitation_id=invitation.id,
            email=invitation.email,
            organization_id=invitation.organization_id,
            project_id=invitation.project_id,
            role=invited.role,
            project_assignments=[AssignmentView.of(assignment) for assignment in invited.assignments],
            token=invited.token,
            link=link,
            expires_at=invitation.expires_at,
            message=message,
        )


class PendingInvitation(BaseModel):
    """What waits, for whoever manages the members."""

    id: str
    invitation_id: str
    email: str
    role: str
    status: InvitationStatus
    project_assignments: list[AssignmentView]
    invited_by: str = Field(description="the id of whoever sent it")
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, waiting: invitations.PendingInvitation) -> Self:
        invitation = waiting.invitation
        return cls(
            id=invitation.id,
            invitation_id=invitation.id,
            email=invitation.email,
            role=waiting.role,
            status=invitation.status,
            project_assignments=[AssignmentView.of(assignment) for assignment in waiting.assignments],
            invited_by=invitation.invited_by,
            created_at=invitation.created_at,
            expires_at=invitation.expires_at,
        )


class InvitationView(BaseModel):
    """What is offered to whoever is invited."""

    invitation_id: str
    email: str
    organization_name: str
    project_name: str | None
    role: str
    status: InvitationStatus
    expires_at: datetime
    invited_by: str = Field(description="the name of whoever sent it")

    @classmethod
    def of(cls, offer: Offer) -> Self:
        invitation = offer.invitation
        return cls(
            invitation_id=invitation.id,
            email=invitation.email,
            organization_name=offer.organization_name,
            project_name=offer.project_name,
            role=offer.role,
            status=invitation.status,
            expires_at=invitation.expires_at,
            invited_by=offer.invited_by,
        )


class InvitationList(RootModel[list[InvitationView]]):
    """A bare list."""


class InvitationAccepted(BaseModel):
    message: str = "Invitation accepted successfully"
    organization_id: str
    organization_name: str
    projects_added: int
    role: str

    @classmethod
    def of(cls, joined: AcceptedInvitation) -> Self:
        place = joined.organization
        return cls(
            organization_id=place.id,
            organization_name=place.name,
            projects_added=joined.projects_added,
            role=joined.role,
        )


class InvitationEnded(BaseModel):
    message: str


async def create(request: Request[State]) -> Response:
    """Invite an address to an organization, and to some of its projects."""
    call = await session_call_of(request)
    new = await read(request, OrganizationInvitation)
    organization_id = request.path_params["organization_id"]
    invited = await call.run(
        invitations.invite, organization_id, new.email, OrganizationRole(new.role), new.projects(), call.mailer
    )
    return await _sent(call, invited)


async def create_for_project(request: Request[State]) -> Response:
    """Invite an address to one project."""
    call = await person_call_of(request)
    new = await read(request, ProjectInvitation)
    project_id = request.path_params["project_id"]
    invited = await call.run(invitations.invite_to_project, project_id, new.email, new.role, call.mailer)
    return await _sent(call, invited)


async def cancel(request: Request[State]) -> Response:
    """Cancel an invitation: its link stops working."""
    call = await session_call_of(request)
    named = request.path_params["organization_id"], request.path_params["invitation_id"]
    await call.run(invitations.cancel, *named)
    return reply(InvitationEnded(message="Invitation cancelled successfully"))


async def list_pending(request: Request[State]) -> Response:
    """List the invitations that wait for one's own address, once it is verified."""
    call = await session_call_of(request)
    offers = await call.read(invitation_answers.list_pending)
    return reply(InvitationList([InvitationView.of(offer) for offer in offers]))


async def show(request: Request[State]) -> Response:
    """Read what an invitation offers; whoever has its token may."""
    token = request.path_params["token"]
    principal = await _visitor(request) if token.startswith(ID_PREFIX) else None
    offer = await request.state["runtime"].read(invitation_answers.show, principal, token)
    return reply(InvitationView.of(offer))


async def accept(request: Request[State]) -> Response:
    """Accept an invitation with the account whose address it names."""
    call = await session_call_of(request)
    joined = await call.run(invitation_answers.accept, request.path_params["token"])
    return reply(InvitationAccepted.of(joined))


async def decline(request: Request[State]) -> Response:
    """Decline an invitation with the account whose address it names."""
    call = await session_call_of(request)
    await call.run(invitation_answers.decline, request.path_params["token"])
    return reply(InvitationEnded(message="Invitation declined successfully"))


async def _sent(call: Call, invited: NewInvitation) -> Response:
    """The letter's first try is made now, after the commit, so that the answer can say how it went."""
    message = NOT_MAILED
    if invited.mail_id is not None:
        message = SAID[await call.runtime.in_thread(call.mailer.deliver, invited.mail_id)]
    return reply(InvitationSent.of(invited, invitation_link(call.mailer, invited.token), message))


async def _visitor(request: Request[State]) -> Principal | None:
    """Who asks, if anybody is signed in: this address is open to all."""
    runtime = request.state["runtime"]
    try:
        return await runtime.authenticate(credential_of(request, runtime.settings))
    except Unauthenticated:
        return None
