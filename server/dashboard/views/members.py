"""Members of a project: roles, invitations, and adding members of the organization."""

from collections.abc import Sequence

from starlette.responses import Response

from server.dashboard.fields import parse_choice
from server.dashboard.pages import HOME, PageRequest, redirect
from server.dashboard.pagination import back_to, paginate
from server.dashboard.views.sent_invitation import show_sent
from server.domain.access import governs
from server.domain.grants import connections
from server.domain.names import fold_email
from server.domain.teams import invitations, organization_members, project_members
from server.domain.teams.organization_members import Member
from server.errors import Invalid, NotFound
from server.models import ProjectRole
from server.web import attempts


async def show(request: PageRequest) -> Response:
    members = await request.call.read(project_members.list_members, request.project_id)
    pending = await request.call.read(invitations.list_pending_for_project, request.project_id)
    colleagues = await _organization_members(request)
    member_ids = {member.user_id for member in members}
    candidates = [colleague for colleague in colleagues if colleague.user_id not in member_ids]
    manages = (await request.project()).may("manage_members")
    reaching = await request.call.read(connections.list_reaching, request.project_id) if manages else []
    return await request.render(
        "members.html",
        request.project_id,
        members=paginate(request, members),
        pending=paginate(request, pending, "pending"),
        candidates=candidates,
        fixed={colleague.user_id for colleague in colleagues if governs(colleague.role)},
        reaching=paginate(request, reaching, "apps"),
        roles=[role.value for role in ProjectRole],
    )


async def invite(request: PageRequest) -> Response:
    role = parse_choice(ProjectRole, "Role", request.text("role"))
    await attempts.count_invitation(request.http)
    invitation = await request.call.run(
        invitations.invite_to_project, request.project_id, request.text("email"), role, request.call.mailer
    )
    return await show_sent(request.call, invitation, f"{request.project_path}/members")


async def cancel(request: PageRequest) -> Response:
    organization_id = (await request.project()).project.organization_id
    await request.call.run(invitations.cancel, organization_id, request.path_param("invitation_id"))
    return redirect(back_to(request, f"{request.project_path}/members"), "invitation-canceled")


async def add(request: PageRequest) -> Response:
    role = parse_choice(ProjectRole, "Role", request.text("role"))
    user_id = chosen_member(request, "user_id", "a member", await _organization_members(request))
    await request.call.run(project_members.add, request.project_id, user_id, role)
    return redirect(f"{request.project_path}/members", "member-added")


async def change_role(request: PageRequest) -> Response:
    role = parse_choice(ProjectRole, "Role", request.text("role"))
    cancelled = await request.call.run(
        project_members.change_role, request.project_id, request.path_param("user_id"), role
    )
    return redirect(back_to(request, f"{request.project_path}/members"), "role-changed", invitations=cancelled)


async def remove(request: PageRequest) -> Response:
    """Remove a member. Users who leave are redirected home, because they may have lost access to the project."""
    user_id = request.path_param("user_id")
    removal = await request.call.run(project_members.remove, request.project_id, user_id)
    if user_id == request.call.principal.user_id:
        return redirect(HOME, "left-project", invitations=removal.invitations)
    return redirect(
        back_to(request, f"{request.project_path}/members"), "member-removed", invitations=removal.invitations
    )


def chosen_member(request: PageRequest, name: str, what: str, members: Sequence[Member]) -> str:
    """Return the user id in the field `name`, or that of the member whose email address was entered. Raises Invalid."""
    if not request.text("member_email"):
        return request.chosen(name, what)
    address = fold_email(request.text("member_email"))
    found = next((member.user_id for member in members if member.email == address), None)
    if found is None:
        raise Invalid("There is no member with this email address in the organization.")
    return found


async def _organization_members(request: PageRequest) -> list[Member]:
    """Return the members of the project's organization, or none if the user cannot see them."""
    organization_id = (await request.project()).project.organization_id
    try:
        return await request.call.read(organization_members.list_members, organization_id)
    except NotFound:
        return []
