"""Organizations: the list with their projects, and one with its people, invitations and ownership."""

from collections.abc import Mapping, Sequence
from functools import partial

from starlette.responses import Response

from server.dashboard.fields import choice
from server.dashboard.layout import frame_of, names_of, title
from server.dashboard.pages import HOME, PageRequest, go
from server.dashboard.pagination import part_of
from server.dashboard.views.invited import Sent, sent
from server.domain import audit
from server.domain.access import ORGANIZATION_ACTIONS, Action, may_change
from server.domain.teams import invitations, organization_members, organizations, projects
from server.domain.teams.organization_members import Member
from server.domain.teams.organizations import Membership
from server.models import AuditEvent, OrganizationRole, ProjectRole

HERE = f"{HOME}/organizations"
EVENTS = 50


async def show_all(visit: PageRequest) -> Response:
    places = await visit.call.read(organizations.list_organizations)
    makes = [place.organization for place in places if may(place, Action.CREATE_PROJECT)]
    titles = await titles_of(visit, places)
    return await visit.page("organizations.html", organizations=part_of(visit, places), makes=makes, titles=titles)


async def create(visit: PageRequest) -> Response:
    made = await visit.call.run(organizations.create, visit.text("name"))
    return go(f"{HERE}/{made.id}", "organization-made")


async def create_project(visit: PageRequest) -> Response:
    made = await visit.call.run(projects.create, visit.text("organization_id"), visit.text("name"))
    return go(f"{HOME}/projects/{made.id}", "project-made")


async def show(visit: PageRequest, invited: Sent | None = None) -> Response:
    organization_id = visit.path("organization_id")
    place = await visit.call.read(organizations.get, organization_id)
    members = await visit.call.read(organization_members.list_members, organization_id)
    waiting = await visit.call.read(invitations.list_pending, organization_id)
    return await visit.page(
        "organization.html",
        place=place,
        title=(await titles_of(visit, [place]))[organization_id],
        members=part_of(visit, members),
        fixed=_fixed(place, members, visit.call.principal.user_id),
        waiting=waiting,
        invited=invited,
        may_manage=may(place, Action.MANAGE_MEMBERS),
        may_make=may(place, Action.CREATE_PROJECT),
        is_owner=may(place, Action.OWN),
        part=partial(part_of, visit),
        project_roles=[role.value for role in ProjectRole],
    )


async def invite(visit: PageRequest) -> Response:
    """To the organization, and to the projects that are ticked, all with one role."""
    role = choice(OrganizationRole, "Role", visit.text("role"))
    project_role = choice(ProjectRole, "Role in projects", visit.text("project_role") or ProjectRole.VIEWER.value)
    brings = dict.fromkeys(visit.texts("project_id"), project_role)
    made = await visit.call.run(
        invitations.invite, visit.path("organization_id"), visit.text("email"), role, brings, visit.call.mailer
    )
    return await show(visit, await sent(visit.call, made))


async def cancel(visit: PageRequest) -> Response:
    await visit.call.run(invitations.cancel, visit.path("organization_id"), visit.path("invitation_id"))
    return go(_here(visit), "invitation-cancelled")


async def change(visit: PageRequest) -> Response:
    role = choice(OrganizationRole, "Role", visit.text("role"))
    await visit.call.run(organization_members.change_role, visit.path("organization_id"), visit.path("user_id"), role)
    return go(_here(visit), "role-changed")


async def remove(visit: PageRequest) -> Response:
    """Remove a person, or leave: then the organization is out of sight."""
    user_id = visit.path("user_id")
    await visit.call.run(organization_members.remove, visit.path("organization_id"), user_id)
    if user_id == visit.call.principal.user_id:
        return go(HERE, "left")
    return go(_here(visit), "member-removed")


async def transfer(visit: PageRequest) -> Response:
    await visit.call.run(organizations.transfer, visit.path("organization_id"), visit.text("new_owner_id"))
    return go(_here(visit), "transferred")


async def delete(visit: PageRequest) -> Response:
    place = await visit.call.read(organizations.get, visit.path("organization_id"))
    visit.require_typed(place.organization.name)
    await visit.call.run(organizations.delete, place.organization.id)
    return go(HERE, "organization-deleted")


async def show_activity(visit: PageRequest) -> Response:
    """Who changed what about rights, the newest first."""
    organization_id, before = visit.path("organization_id"), visit.request.query_params.get("before")
    place = await visit.call.read(organizations.get, organization_id)
    events = await visit.call.read(audit.list_events, organization_id, EVENTS + 1, before)
    names = await visit.call.read(names_of, {event.actor_id for event in events} | {event.target for event in events})
    frame = await visit.call.read(frame_of)
    names |= {one.project.id: one.project.name for one in frame.places}
    told = [(event, about(event, names)) for event in events[:EVENTS]]
    return await visit.page("activity.html", place=place, told=told, has_more=len(events) > EVENTS)


def about(event: AuditEvent, names: Mapping[str, str]) -> str:
    """Who did it, to whom or what, and what is different now, as far as there are names for it."""
    actor = names.get(event.actor_id, "a deleted account") if event.actor_id else "nobody signed in"
    project = event.details.get("project_id")
    things = [actor, names.get(event.target), names.get(project) if isinstance(project, str) else None]
    before, after = event.details.get("from"), event.details.get("to", event.details.get("role"))
    things.append(f"{before} → {after}" if before else str(after) if after else None)
    return " · ".join(dict.fromkeys(thing for thing in things if thing))


async def titles_of(visit: PageRequest, places: Sequence[Membership]) -> dict[str, str]:
    """What to call each organization, by its id."""
    owners = await visit.call.read(names_of, {place.organization.owner_id for place in places})
    me = visit.call.principal.user_id
    found = [place.organization for place in places]
    return {one.id: title(one, owners.get(one.owner_id, "deleted account"), me) for one in found}


def may(place: Membership, action: Action) -> bool:
    return action in ORGANIZATION_ACTIONS[place.role]


def _fixed(place: Membership, members: Sequence[Member], me: str) -> set[str]:
    """Return the ids of the people whose role the visitor cannot change."""
    return {
        member.user_id for member in members if not may_change(place.role, member.role, is_self=member.user_id == me)
    }


def _here(visit: PageRequest) -> str:
    return f"{HERE}/{visit.path('organization_id')}"
