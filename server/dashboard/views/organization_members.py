"""Members of an organization: roles, invitations, leaving."""

from collections.abc import Sequence

from starlette.responses import Response

from server.dashboard.fields import parse_choice
from server.dashboard.pages import PageRequest, redirect
from server.dashboard.pagination import back_to, paginate
from server.dashboard.views.organization import ORGANIZATIONS, entries_of, membership_of, organization_path, render
from server.dashboard.views.sent_invitation import show_sent
from server.domain.access import may_change
from server.domain.teams import invitations, organization_members
from server.domain.teams.organization_members import Member
from server.domain.teams.organizations import Membership
from server.models import OrganizationRole, ProjectRole
from server.web import attempts

MOST_PROJECTS = 40
"""How many projects the form offers. To invite to another project, use that project's page."""


async def show(request: PageRequest) -> Response:
    membership = await membership_of(request)
    organization_id = membership.organization.id
    members = await request.call.read(organization_members.list_members, organization_id)
    entries = await entries_of(request)
    return await render(
        request,
        "organization_members.html",
        membership,
        members=paginate(request, members),
        fixed=_fixed(membership, members, request.call.principal.user_id),
        pending=paginate(request, await request.call.read(invitations.list_pending, organization_id), "pending"),
        entries=entries[:MOST_PROJECTS],
        has_more_projects=len(entries) > MOST_PROJECTS,
        chosen_projects=request.texts("project_id"),
        project_roles=[role.value for role in ProjectRole],
    )


async def invite(request: PageRequest) -> Response:
    """Invite to the organization and, with one role, to the selected projects."""
    role = parse_choice(OrganizationRole, "Role", request.text("role"))
    project_role = parse_choice(ProjectRole, "Role in projects", request.text("project_role") or ProjectRole.VIEWER)
    await attempts.count_invitation(request.http)
    invitation = await request.call.run(
        invitations.invite,
        request.path_param("organization_id"),
        request.text("email"),
        role,
        dict.fromkeys(request.texts("project_id"), project_role),
        request.call.mailer,
    )
    return await show_sent(request.call, invitation, _members_path(request))


async def cancel(request: PageRequest) -> Response:
    invitation_id = request.path_param("invitation_id")
    await request.call.run(invitations.cancel, request.path_param("organization_id"), invitation_id)
    return redirect(back_to(request, _members_path(request)), "invitation-canceled")


async def change_role(request: PageRequest) -> Response:
    role = parse_choice(OrganizationRole, "Role", request.text("role"))
    organization_id, user_id = request.path_param("organization_id"), request.path_param("user_id")
    cancelled = await request.call.run(organization_members.change_role, organization_id, user_id, role)
    return redirect(back_to(request, _members_path(request)), "role-changed", invitations=cancelled)


async def remove(request: PageRequest) -> Response:
    """Remove a member. Users who leave are redirected to the list, because they no longer see the organization."""
    user_id = request.path_param("user_id")
    removal = await request.call.run(organization_members.remove, request.path_param("organization_id"), user_id)
    if user_id == request.call.principal.user_id:
        return redirect(ORGANIZATIONS, "left-organization", invitations=removal.invitations)
    return redirect(back_to(request, _members_path(request)), "member-removed", invitations=removal.invitations)


def _fixed(membership: Membership, members: Sequence[Member], user_id: str) -> set[str]:
    """Return the ids of the members whose role the user cannot change."""
    return {
        member.user_id
        for member in members
        if not may_change(membership.role, member.role, is_self=member.user_id == user_id)
    }


def _members_path(request: PageRequest) -> str:
    return f"{organization_path(request)}/members"
