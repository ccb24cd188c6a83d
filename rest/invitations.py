"""Invitations over HTTP: send, cancel, and answer them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, Self

from pydantic import AliasPath, BaseModel, Field, RootModel
from starlette.requests import Request
from starlette.responses import Response

from rest.http import call_of, read, reply, reply_created
from rest.views import Created, Creation, OfRow
from server.domain.letters import Unmailed, invitation_link
from server.domain.teams import invitation_answers, invitations
from server.domain.teams.invitation_answers import ID_PREFIX, Offer
from server.domain.teams.invitations import NewInvitation
from server.errors import Unauthenticated
from server.mailer import Delivery
from server.models import OrganizationRole, ProjectRole
from server.models.invitations import InvitationStatus
from server.principal import Principal
from server.shell.runtime import Call, State
from server.web import attempts
from server.web.request_credentials import credential_of

MESSAGES: Mapping[Delivery | Unmailed, str] = {
    Delivery.SENT: "Invitation created and mailed.",
    Delivery.LATER: (
        "Invitation created. The mail server is unavailable: we will try again. You can also share the link."
    ),
    Delivery.REFUSED: "Invitation created. The mail server refused this address: share the link.",
    Unmailed.MAIL_IS_OFF: "Invitation created. This server does not send email: share the link.",
    Unmailed.INVITER_UNCONFIRMED: (
        "Invitation created, but not mailed: confirm your email address first, or share the link."
    ),
    Unmailed.TOO_MANY: "Invitation created, but not mailed: too many invitations were mailed today. Share the link.",
}


class OrganizationInvitation(Creation):
    email: str
    role: Literal[OrganizationRole.ADMIN, OrganizationRole.MEMBER]
    project_ids: list[str] | None = Field(default=None, alias="projectIds", max_length=100)
    project_roles: dict[str, ProjectRole] | None = Field(
        default=None, alias="projectRoles", description="roles by project id; viewer by default"
    )

    def projects(self) -> Mapping[str, ProjectRole]:
        roles = self.project_roles or {}
        project_ids = [*(self.project_ids or ()), *roles]
        return {project_id: roles.get(project_id, ProjectRole.VIEWER) for project_id in project_ids}


class ProjectInvitation(Creation):
    email: str
    role: ProjectRole


class AssignmentView(OfRow):
    project_id: str = Field(validation_alias=AliasPath("project", "id"))
    project_name: str = Field(validation_alias=AliasPath("project", "name"))
    role: ProjectRole


class InvitationSent(Created, OfRow):
    invitation_id: str = Field(validation_alias=AliasPath("id"))
    email: str
    organization_id: str
    project_id: str | None
    role: str
    project_assignments: list[AssignmentView] = Field(validation_alias="assignments")
    token: str = Field(description="shown only once; unlike the mailed token, it does not confirm the email address")
    link: str
    expires_at: datetime
    message: str = Field(description="says whether the email was sent")


class PendingInvitation(OfRow):
    """A pending invitation, for people who manage members."""

    id: str
    invitation_id: str = Field(validation_alias=AliasPath("id"))
    email: str
    role: str
    status: InvitationStatus
    project_assignments: list[AssignmentView] = Field(validation_alias="assignments")
    invited_by: str = Field(description="the id of the sender")
    created_at: datetime
    expires_at: datetime


class InvitationView(OfRow):
    """An invitation, for the invited person."""

    invitation_id: str = Field(validation_alias=AliasPath("id"))
    email: str
    organization_name: str
    project_name: str | None
    role: str
    status: InvitationStatus
    expires_at: datetime
    invited_by: str = Field(description="the name of the sender")

    @classmethod
    def of_offer(cls, offer: Offer) -> Self:
        return cls.of(offer.invitation, **offer._asdict())


class InvitationList(RootModel[list[InvitationView]]):
    """The answer is a list, not an object."""


class InvitationAccepted(OfRow):
    message: str = "Invitation accepted successfully"
    organization_id: str = Field(validation_alias=AliasPath("organization", "id"))
    organization_name: str = Field(validation_alias=AliasPath("organization", "name"))
    projects_added: int
    role: str


class InvitationEnded(BaseModel):
    message: str


async def create(request: Request[State]) -> Response:
    """Invite an email address to an organization and to some of its projects."""
    call = await call_of(request)
    await attempts.count_invitation(request)
    new = await read(request, OrganizationInvitation)
    organization_id = request.path_params["organization_id"]
    invitation = await call.run(
        invitations.invite, organization_id, new.email, OrganizationRole(new.role), new.projects(), call.mailer
    )
    return await _deliver(call, invitation, new)


async def create_for_project(request: Request[State]) -> Response:
    """Invite an email address to one project."""
    call = await call_of(request)
    await attempts.count_invitation(request)
    new = await read(request, ProjectInvitation)
    project_id = request.path_params["project_id"]
    invitation = await call.run(invitations.invite_to_project, project_id, new.email, new.role, call.mailer)
    return await _deliver(call, invitation, new)


async def cancel(request: Request[State]) -> Response:
    """Cancel an invitation. Its link stops working."""
    call = await call_of(request)
    await call.run(invitations.cancel, request.path_params["organization_id"], request.path_params["invitation_id"])
    return reply(InvitationEnded(message="Invitation canceled successfully"))


async def list_pending(request: Request[State]) -> Response:
    """List the pending invitations to your confirmed email address."""
    call = await call_of(request)
    offers = await call.read(invitation_answers.list_pending)
    return reply(InvitationList([InvitationView.of_offer(offer) for offer in offers]))


async def show(request: Request[State]) -> Response:
    """Read an invitation. Anyone with its token may."""
    token = request.path_params["token"]
    principal = await _principal_or_none(request) if token.startswith(ID_PREFIX) else None
    offer = await request.state["runtime"].read(invitation_answers.show, principal, token)
    return reply(InvitationView.of_offer(offer))


async def accept(request: Request[State]) -> Response:
    """Accept an invitation to your email address."""
    call = await call_of(request)
    accepted = await call.run(invitation_answers.accept, request.path_params["token"])
    return reply(InvitationAccepted.of(accepted))


async def decline(request: Request[State]) -> Response:
    """Decline an invitation to your email address."""
    call = await call_of(request)
    await call.run(invitation_answers.decline, request.path_params["token"])
    return reply(InvitationEnded(message="Invitation declined successfully"))


async def _deliver(call: Call, new: NewInvitation, sent: Creation) -> Response:
    """Try to send the mail now, after the commit, so that the answer can say whether it was sent."""
    outcome = await call.runtime.in_thread(call.mailer.deliver, new.mail) if isinstance(new.mail, str) else new.mail
    link = invitation_link(call.mailer, new.token)
    view = InvitationSent.of(new.invitation, **new._asdict(), link=link, message=MESSAGES[outcome])
    return reply_created(view, sent)


async def _principal_or_none(request: Request[State]) -> Principal | None:
    """Return the caller, or None for someone who is not signed in."""
    runtime = request.state["runtime"]
    try:
        return await runtime.authenticate(credential_of(request, runtime.settings))
    except Unauthenticated:
        return None
