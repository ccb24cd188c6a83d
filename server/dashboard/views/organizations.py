"""The list of organizations, and the forms that create an organization or a project."""

from starlette.responses import Response

from server.dashboard.layout import organization_title
from server.dashboard.pages import HOME, PageRequest, redirect
from server.dashboard.pagination import paginate
from server.dashboard.views.organization import DELETED_ACCOUNT, ORGANIZATIONS
from server.domain import names
from server.domain.access import ORGANIZATION_ACTIONS, Action
from server.domain.people import users
from server.domain.teams import organizations, projects
from server.domain.teams.organizations import Membership
from server.models.organizations import OrganizationKind


async def show(request: PageRequest) -> Response:
    """Show the person's own organization first, and the others by name."""
    memberships = await request.call.read(organizations.list_organizations)
    listed = [membership.organization for membership in memberships]
    owners = await request.call.read(users.names_of, {one.owner_id for one in listed})
    user_id = request.call.principal.user_id
    titles = {one.id: organization_title(one, owners.get(one.owner_id, DELETED_ACCOUNT), user_id) for one in listed}

    def order_of(membership: Membership) -> tuple[bool, tuple[str, str]]:
        organization = membership.organization
        is_own = organization.kind == OrganizationKind.PERSONAL and organization.owner_id == user_id
        return not is_own, names.order_of(titles[organization.id])

    memberships.sort(key=order_of)
    return await request.render(
        "organizations.html",
        memberships=paginate(request, memberships),
        project_owners=[
            one.organization for one in memberships if Action.CREATE_PROJECT in ORGANIZATION_ACTIONS[one.role]
        ],
        titles=titles,
    )


async def create(request: PageRequest) -> Response:
    organization = await request.call.run(organizations.create, request.text("name"))
    return redirect(f"{ORGANIZATIONS}/{organization.id}", "organization-created")


async def create_project(request: PageRequest) -> Response:
    organization_id = request.chosen("organization_id", "an organization")
    project = await request.call.run(projects.create, organization_id, request.text("name"))
    return redirect(f"{HOME}/projects/{project.id}", "project-created")
