"""One organization, with a page for each topic: general, members, projects and use, apps and keys, audit, danger."""

from collections.abc import Mapping
from typing import NamedTuple

from starlette.responses import Response

from server.dashboard.event_titles import event_title
from server.dashboard.layout import ProjectEntry, expired_sizes, organization_title
from server.dashboard.pages import HOME, PageRequest, redirect
from server.dashboard.pagination import paginate
from server.dashboard.views.members import chosen_member
from server.domain import audit
from server.domain.access import ORGANIZATION_ACTIONS, Action
from server.domain.grants import connections
from server.domain.people import users
from server.domain.teams import organization_members, organizations, projects
from server.domain.teams.organizations import Membership
from server.models import AuditEvent, OrganizationRole
from server.models.organizations import OrganizationKind
from server.plurals import count

ORGANIZATIONS = f"{HOME}/organizations"
DELETED_ACCOUNT = "Deleted account"
EVENTS_PER_PAGE = 50


class Tab(NamedTuple):
    path: str
    name: str
    action: Action = Action.SEE


TABS = (
    Tab("", "General"),
    Tab("/members", "Members"),
    Tab("/projects", "Projects and use"),
    Tab("/access", "Apps and API keys", Action.MANAGE_MEMBERS),
    Tab("/activity", "Audit", Action.SEE_AUDIT),
    Tab("/danger", "Transfer or delete", Action.OWN),
)


async def render(request: PageRequest, template: str, membership: Membership, **values: object) -> Response:
    """Render one page of the organization, with the tabs that the role may open."""
    organization, role = membership.organization, membership.role
    is_personal = organization.kind == OrganizationKind.PERSONAL
    owners = await request.call.read(users.names_of, {organization.owner_id})
    owner = owners.get(organization.owner_id, DELETED_ACCOUNT)
    return await request.render(
        template,
        None,
        organization=organization,
        title=organization_title(organization, owner, request.call.principal.user_id),
        owner=owner,
        role=role.value,
        is_owner=role is OrganizationRole.OWNER,
        is_personal=is_personal,
        tabs=[
            tab for tab in TABS if tab.action in ORGANIZATION_ACTIONS[role] and not (is_personal and tab == TABS[-1])
        ],
        may_rename=Action.RENAME in ORGANIZATION_ACTIONS[role],
        may_manage=Action.MANAGE_MEMBERS in ORGANIZATION_ACTIONS[role],
        may_create=Action.CREATE_PROJECT in ORGANIZATION_ACTIONS[role],
        address=organization_path(request),
        **values,
    )


async def membership_of(request: PageRequest) -> Membership:
    """Return the organization in the path, and the person's role in it. Raises NotFound."""
    return await request.call.read(organizations.get, request.path_param("organization_id"))


async def show(request: PageRequest) -> Response:
    """Show the name and facts."""
    membership = await membership_of(request)
    return await render(request, "organization.html", membership, entries=await entries_of(request))


async def rename(request: PageRequest) -> Response:
    await request.call.run(organizations.rename, request.path_param("organization_id"), request.text("name"))
    return redirect(organization_path(request), "organization-renamed")


async def show_projects(request: PageRequest) -> Response:
    """List the projects that the person can reach, with the number and size of their memories."""
    membership, entries = await membership_of(request), await entries_of(request)
    expired = await request.call.read(expired_sizes)
    sizes = {entry.project.id: entry.project.memory_bytes - expired.get(entry.project.id, 0) for entry in entries}
    return await render(
        request,
        "organization_projects.html",
        membership,
        entries=paginate(request, entries, "projects"),
        memories=sum(entry.memories for entry in entries),
        sizes=sizes,
        size=sum(sizes.values()),
    )


async def create_project(request: PageRequest) -> Response:
    project = await request.call.run(projects.create, request.path_param("organization_id"), request.text("name"))
    return redirect(f"{HOME}/projects/{project.id}", "project-created")


async def show_access(request: PageRequest) -> Response:
    membership = await membership_of(request)
    reaching = await request.call.read(connections.list_reaching_in, membership.organization.id)
    return await render(request, "organization_access.html", membership, reaching=paginate(request, reaching))


async def show_activity(request: PageRequest) -> Response:
    """List changes to access and membership, newest first."""
    membership, before = await membership_of(request), request.http.query_params.get("before")
    events = await request.call.read(audit.list_events, membership.organization.id, EVENTS_PER_PAGE + 1, before)
    actors, targets = {event.actor_id for event in events}, {event.target for event in events}
    names = await request.call.read(users.names_of, actors | targets)
    names |= await request.call.read(audit.names_of_targets, membership.organization.id, events)
    return await render(
        request,
        "organization_activity.html",
        membership,
        events=[(event, event_title(event.type), summary(event, names)) for event in events[:EVENTS_PER_PAGE]],
        has_more=len(events) > EVENTS_PER_PAGE,
    )


async def show_danger(request: PageRequest) -> Response:
    membership = await membership_of(request)
    members = await request.call.read(organization_members.list_members, membership.organization.id)
    candidates = [member for member in members if member.role != OrganizationRole.OWNER]
    return await render(
        request, "organization_danger.html", membership, candidates=candidates, entries=await entries_of(request)
    )


async def transfer(request: PageRequest) -> Response:
    members = await request.call.read(organization_members.list_members, request.path_param("organization_id"))
    new_owner_id = chosen_member(request, "new_owner_id", "a new owner", members)
    await request.call.run(organizations.transfer, request.path_param("organization_id"), new_owner_id)
    return redirect(organization_path(request), "transferred")


async def delete(request: PageRequest) -> Response:
    organization = (await membership_of(request)).organization
    request.require_confirmation(organization.name)
    await request.call.run(organizations.delete, organization.id)
    return redirect(ORGANIZATIONS, "organization-deleted")


def summary(event: AuditEvent, names: Mapping[str, str]) -> str:
    """Return who did it, what it was about, the role change, the number of memories and the reason.

    What has no name is left out.
    """
    actor = names.get(event.actor_id, DELETED_ACCOUNT) if event.actor_id else "Not signed in"
    related = [names.get(str(event.details.get(reference))) for reference in audit.REFERENCES]
    memories, reason = event.details.get("count"), event.details.get("reason")
    counted = count(memories, "memory", "memories") if isinstance(memories, int) else None
    target = names.get(event.target) or event.details.get("name")
    parts = [actor, target, *related, _role_change(event), counted, reason]
    return " · ".join(dict.fromkeys(str(part) for part in parts if part))


async def entries_of(request: PageRequest) -> list[ProjectEntry]:
    """Return the organization's projects that the person can reach."""
    organization_id = request.path_param("organization_id")
    return [one for one in (await request.frame()).projects if one.project.organization_id == organization_id]


def organization_path(request: PageRequest) -> str:
    return f"{ORGANIZATIONS}/{request.path_param('organization_id')}"


def _role_change(event: AuditEvent) -> str | None:
    before, after = event.details.get("from"), event.details.get("to", event.details.get("role"))
    if before:
        return f"{before} → {after}"
    return str(after) if after else None
