"""The titles of organizations, for lists and pages."""

from collections.abc import Sequence

from server.dashboard.layout import organization_title
from server.dashboard.pages import PageRequest
from server.domain.people import users
from server.domain.teams.organizations import Membership

DELETED_ACCOUNT = "Deleted account"


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
