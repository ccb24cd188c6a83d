"""Organizations: the list, and one organization with its projects, members, invitations and ownership."""

from collections.abc import Mapping, Sequence
from functools import partial

from starlette.responses import Response

from server import attempts
from server.dashboard.fields import parse_choice
from server.dashboard.layout import organization_title
from server.dashboard.pages import HOME, PageRequest, redirect
from server.dashboard.pagination import paginate
from server.dashboard.views.sent_invitation import SentInvitation, deliver
from server.domain import audit
from server.domain.access import ORGANIZATION_ACTIONS, Action, may_change
from server.domain.people import users
from server.domain.teams import invitations, organization_members, organizations, projects
from server.domain.teams.organization_members import Member
from server.domain.teams.organizations import Membership
from server.models import AuditEvent, OrganizationRole, ProjectRole

ORGANIZATIONS = f"{HOME}/organizations"
EVENTS_PER_PAGE = 50
DELETED_ACCOUNT = "Deleted account"


async def show_all(request: PageRequest) -> Response:
    memberships = await request.call.read(organizations.list_organizations)
    return await request.render(
        "organizations.html",
        memberships=paginate(request, memberships),
        project_owners=[one.organization for one in memberships if may(one, Action.CREATE_PROJECT)],
        titles=await titles_of(request, memberships),
    )


async def create(request: PageRequest) -> Response:
    organization = await request.call.run(organizations.create, request.text("name"))
    return redirect(f"{ORGANIZATIONS}/{organization.id}", "organization-created")


async def create_project(request: PageRequest) -> Response:
    project = await request.call.run(projects.create, request.text("organization_id"), request.text("name"))
    return redirect(f"{HOME}/projects/{project.id}", "project-created")


async def show(request: PageRequest, sent: SentInvitation | None = None) -> Response:
    organization_id = request.path_param("organization_id")
    membership = await request.call.read(organizations.get, organization_id)
    members = await request.call.read(organization_members.list_members, organization_id)
    pending = await request.call.read(invitations.list_pending, organization_id)
    titles = await titles_of(request, [membership])
    return await request.render(
        "organization.html",
        organization=membership.organization,
        title=titles[organization_id],
        members=paginate(request, members),
        fixed=_fixed(membership, members, request.call.principal.user_id),
        pending=pending,
        sent=sent,
        may_manage=may(membership, Action.MANAGE_MEMBERS),
        may_create=may(membership, Action.CREATE_PROJECT),
        is_owner=may(membership, Action.OWN),
        paginate=partial(paginate, request),
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
    return await show(request, await deliver(request.call, invitation))


async def cancel(request: PageRequest) -> Response:
    invitation_id = request.path_param("invitation_id")
    await request.call.run(invitations.cancel, request.path_param("organization_id"), invitation_id)
    return redirect(_organization_path(request), "invitation-canceled")


async def change_role(request: PageRequest) -> Response:
    role = parse_choice(OrganizationRole, "Role", request.text("role"))
    organization_id, user_id = request.path_param("organization_id"), request.path_param("user_id")
    cancelled = await request.call.run(organization_members.change_role, organization_id, user_id, role)
    return redirect(_organization_path(request), "role-changed", invitations=cancelled)


async def remove(request: PageRequest) -> Response:
    """Remove a member. Users who leave are redirected to the list, because they no longer see the organization."""
    user_id = request.path_param("user_id")
    removal = await request.call.run(organization_members.remove, request.path_param("organization_id"), user_id)
    if user_id == request.call.principal.user_id:
        return redirect(ORGANIZATIONS, "left-organization", invitations=removal.invitations)
    return redirect(_organization_path(request), "member-removed", invitations=removal.invitations)


async def rename(request: PageRequest) -> Response:
    await request.call.run(organizations.rename, request.path_param("organization_id"), request.text("name"))
    return redirect(_organization_path(request), "organization-renamed")


async def transfer(request: PageRequest) -> Response:
    new_owner_id = request.text("new_owner_id")
    await request.call.run(organizations.transfer, request.path_param("organization_id"), new_owner_id)
    return redirect(_organization_path(request), "transferred")


async def delete(request: PageRequest) -> Response:
    membership = await request.call.read(organizations.get, request.path_param("organization_id"))
    request.require_confirmation(membership.organization.name)
    await request.call.run(organizations.delete, membership.organization.id)
    return redirect(ORGANIZATIONS, "organization-deleted")


async def show_activity(request: PageRequest) -> Response:
    """List changes to access and membership, newest first."""
    organization_id, before = request.path_param("organization_id"), request.http.query_params.get("before")
    membership = await request.call.read(organizations.get, organization_id)
    events = await request.call.read(audit.list_events, organization_id, EVENTS_PER_PAGE + 1, before)
    actors, targets = {event.actor_id for event in events}, {event.target for event in events}
    names = await request.call.read(users.names_of, actors | targets)
    names |= {entry.project.id: entry.project.name for entry in (await request.frame()).projects}
    return await request.render(
        "activity.html",
        organization=membership.organization,
        events=[(event, summary(event, names)) for event in events[:EVENTS_PER_PAGE]],
        has_more=len(events) > EVENTS_PER_PAGE,
    )


def summary(event: AuditEvent, names: Mapping[str, str]) -> str:
    """Return who did it, the affected user or project, the role change and the reason. Targets without a name are left
    out.
    """
    actor = names.get(event.actor_id, DELETED_ACCOUNT) if event.actor_id else "Not signed in"
    project_id = event.details.get("project_id")
    project = names.get(project_id) if isinstance(project_id, str) else None
    reason = event.details.get("reason")
    parts = [actor, names.get(event.target), project, _role_change(event), str(reason) if reason else None]
    return " · ".join(dict.fromkeys(part for part in parts if part))


async def titles_of(request: PageRequest, memberships: Sequence[Membership]) -> dict[str, str]:
    """Return the title of each organization by its id."""
    all_organizations = [membership.organization for membership in memberships]
    owners = await request.call.read(users.names_of, {organization.owner_id for organization in all_organizations})
    return {
        organization.id: organization_title(
            organization, owners.get(organization.owner_id, DELETED_ACCOUNT), request.call.principal.user_id
        )
        for organization in all_organizations
    }


def may(membership: Membership, action: Action) -> bool:
    return action in ORGANIZATION_ACTIONS[membership.role]


def _role_change(event: AuditEvent) -> str | None:
    before, after = event.details.get("from"), event.details.get("to", event.details.get("role"))
    if before:
        return f"{before} → {after}"
    return str(after) if after else None


def _fixed(membership: Membership, members: Sequence[Member], user_id: str) -> set[str]:
    """Return the ids of the members whose role the user cannot change."""
    return {
        member.user_id
        for member in members
        if not may_change(membership.role, member.role, is_self=member.user_id == user_id)
    }


def _organization_path(request: PageRequest) -> str:
    return f"{ORGANIZATIONS}/{request.path_param('organization_id')}"
