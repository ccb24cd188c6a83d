"""Members, invitations, organizations and projects in the dashboard."""

import html
import re
from collections.abc import Callable

import httpx
import pytest

from server.models import OrganizationMember, OrganizationRole, ProjectMember, ProjectRole, User
from server.storage.database import Database
from tests.conftest import Tenant
from tests.support.visitors import Visitor, seen

LINK = re.compile(r'id="link" value="http://localhost:8081(/accept-invitation/[^"]+)"')


async def invite(inviter: Visitor, path: str, **fields: str | list[str]) -> str:
    """Send an invitation and return the path of its link."""
    response = await inviter.shown(path, fields)
    link = LINK.search(response.text)
    assert link
    return link[1]


async def team(ann: Visitor) -> Visitor:
    """Return Ann, at a new organization that she owns, with one project."""
    organization = (await ann.do("/dashboard/organizations", {"name": "Team"})).partition("?")[0].rsplit("/", 1)[1]
    fields = {"name": "Shared", "organization_id": organization}
    project = (await ann.do("/dashboard/projects", fields)).partition("?")[0].rsplit("/", 1)[1]
    tenant = Tenant(**{**vars(ann.tenant), "organization_id": organization, "project_id": project})
    return Visitor(ann.client, tenant)


async def test_accepting_an_invitation_link_gives_access_to_the_project(ann: Visitor, ben: Visitor) -> None:
    at_team = await team(ann)
    link = await invite(at_team, f"{at_team.project}/members", email=ben.tenant.email, role="editor")
    assert "1 pending invitation" in await ann.see(f"{at_team.project}/members")
    assert (await ben.get(at_team.project)).status_code == 404
    assert "Join Shared" in seen(await ben.get(link))
    await ben.do(link, {"decision": "accept"})
    assert "Shared" in await ben.see(at_team.project)
    assert "bob@example.com" in await ann.see(f"{at_team.project}/members")
    assert "joined Team" in await ann.see("/dashboard/notifications")


async def test_a_pending_invitation_can_be_accepted_in_the_dashboard(ann: Visitor, ben: Visitor) -> None:
    at_team = await team(ann)
    await invite(at_team, f"{at_team.organization}/members", email=ben.tenant.email, role="member")
    page = await ben.get("/dashboard/notifications")
    assert "1 pending invitation" in seen(page)
    answer = re.search(r'action="(/dashboard/invitations/[^"]+)"', page.text)
    assert answer
    location = await ben.do(answer[1], {"decision": "accept"})
    assert "Team" in await ben.see(location)
    assert "pending invitation" not in await ben.see("/dashboard/notifications")


async def test_an_invitation_can_be_canceled(ann: Visitor, ben: Visitor) -> None:
    at_team = await team(ann)
    link = await invite(at_team, f"{at_team.project}/members", email=ben.tenant.email, role="viewer")
    page = await ann.get(f"{at_team.project}/members")
    cancel = re.search(r'action="([^"]+/cancel)"', page.text)
    assert cancel
    await ann.do(cancel[1])
    assert (await ben.get(link)).status_code == 410
    again = await ann.post(cancel[1])  # from another tab
    assert (again.status_code, "opened the whole link" in again.text) == (404, False)


@pytest.fixture
async def shared(ann: Visitor, ben: Visitor) -> Visitor:
    """Return Ann at her team, where Ben is a member and an editor of the project."""
    at_team = await team(ann)
    link = await invite(
        at_team, f"{at_team.organization}/members", email=ben.tenant.email, role="member",
        project_id=[at_team.tenant.project_id], project_role="editor",
    )  # fmt: skip
    await ben.do(link, {"decision": "accept"})
    return at_team


async def test_an_admin_of_a_project_cancels_its_invitations(shared: Visitor, ben: Visitor) -> None:
    await shared.do(f"{shared.project}/members/{ben.tenant.user_id}/role", {"role": "admin"})
    members = f"{shared.project}/members"
    await ben.post(members, {"email": "new@example.com", "role": "viewer"})
    cancel = re.search(r'action="([^"]+/cancel)"', (await ben.get(members)).text)
    assert cancel
    await ben.do(cancel[1])
    assert "new@example.com" not in await ben.see(members)


async def test_a_lower_role_takes_effect_on_the_next_page(shared: Visitor, ben: Visitor) -> None:
    assert "Add memory" in await ben.see(f"{shared.project}/memories")
    change = f"{shared.project}/members/{ben.tenant.user_id}/role"
    await shared.do(change, {"role": "viewer"})
    assert "Add memory" not in (await ben.see(f"{shared.project}/memories")).replace("Or write", "")
    refused = await shared.post(change, {"role": "king"})
    assert refused.status_code == 400
    assert "Role: choose one of the options." in seen(refused)
    assert (await ben.post(change, {"role": "admin"})).status_code == 403


async def test_members_who_leave_or_are_removed_lose_access(shared: Visitor, ben: Visitor) -> None:
    assert (await ben.do(f"{shared.project}/members/{ben.tenant.user_id}/remove")).startswith("/dashboard?")
    assert (await ben.get(shared.project)).status_code == 404
    added = {"user_id": ben.tenant.user_id, "role": "viewer"}
    await shared.do(f"{shared.project}/members/add", added)
    assert (await ben.get(shared.project)).status_code == 200
    await ben.do(f"{shared.project}/members/{ben.tenant.user_id}/remove")
    await invite(shared, f"{shared.project}/members", email=ben.tenant.email, role="viewer")
    location = await shared.do(f"{shared.organization}/members/{ben.tenant.user_id}/remove")
    assert "1 pending invitation was canceled" in await shared.see(location)
    assert (await ben.get(shared.organization)).status_code == 404


async def test_who_leaves_a_project_reads_how_many_invitations_that_canceled(shared: Visitor, ben: Visitor) -> None:
    await shared.do(f"{shared.project}/members/{ben.tenant.user_id}/role", {"role": "admin"})
    await ben.post(f"{shared.project}/members", {"email": "new@example.com", "role": "viewer"})
    home = await ben.do(f"{shared.project}/members/{ben.tenant.user_id}/remove")
    page = await ben.see((await ben.get(home)).headers["location"])
    assert "You left the project. 1 pending invitation was canceled." in page


async def test_a_refused_form_shows_the_reason_on_its_page(shared: Visitor, ben: Visitor) -> None:
    refused = await shared.post(f"{shared.organization}/members/{shared.tenant.user_id}/remove")
    assert refused.status_code == 409
    assert "transfer the ownership first" in seen(refused)
    assert "Team" in seen(refused)
    again = await shared.post("/dashboard/organizations", {"name": "team"})
    assert again.status_code == 409
    assert 'value="team"' in again.text
    bad = await shared.post(f"{shared.organization}/members", {"email": "nobody", "role": "member"})
    assert bad.status_code == 400
    assert "Email address: this is not an email address" in seen(bad)


async def test_long_member_lists_are_paginated(shared: Visitor, database: Database) -> None:
    with database.write() as session:
        for number in range(200):
            user = User(email=f"{number:03}.{'long' * 12}@{'example' * 8}.com", name=f"Person {number:03} " + "x" * 80)
            session.add(user)
            session.flush()
            organization_id = shared.tenant.organization_id
            member, viewer = OrganizationRole.MEMBER, ProjectRole.VIEWER
            session.add(OrganizationMember(organization_id=organization_id, user_id=user.id, role=member))
            session.add(ProjectMember(project_id=shared.tenant.project_id, user_id=user.id, role=viewer))
    for page in (f"{shared.organization}/members", f"{shared.project}/members"):
        names: set[str] = set()
        for start in (0, 40, 80, 120, 160, 200):
            response = await shared.get(f"{page}?from={start}")
            assert len(response.content) <= 100_000, page
            names |= set(re.findall(r"Person (\d+)", response.text))
        assert len(names) == 200, page
        assert 'rel="next"' not in response.text, page
    await transfer_by_address(shared, f"150.{'long' * 12}@{'example' * 8}.com")


async def transfer_by_address(shared: Visitor, address: str) -> None:
    """An organization with many members has no list of them to choose from."""
    assert 'name="member_email"' in (await shared.get(f"{shared.organization}/danger")).text
    refused = await shared.post(f"{shared.organization}/transfer", {"member_email": "nobody@example.com"})
    assert refused.status_code == 400
    assert "There is no member with this email address" in seen(refused)
    new = {"name": "Other", "organization_id": shared.tenant.organization_id}
    other = (await shared.do("/dashboard/projects", new)).partition("?")[0]
    assert 'name="member_email"' in (await shared.get(f"{other}/members")).text
    await shared.do(f"{other}/members/add", {"member_email": address, "role": "viewer"})
    assert address in await shared.see(f"{other}/members")
    await shared.do(f"{shared.organization}/transfer", {"member_email": f" {address.upper()} "})
    assert "You are an admin" in await shared.see(shared.organization)


async def test_long_lists_of_invitations_are_paginated(shared: Visitor) -> None:
    page = f"{shared.organization}/members"
    for number in range(41):
        await shared.do(page, {"email": f"new{number}@example.com", "role": "member"})
    newest, oldest = await shared.get(page), await shared.get(f"{page}?pending=40")
    assert "41 pending invitations" in seen(newest)
    assert "new0@example.com" not in seen(newest)
    assert "new0@example.com" in seen(oldest)
    assert f'href="{page}?pending=40" rel="next"' in newest.text


async def test_transferring_ownership_moves_the_owners_actions(shared: Visitor, ben: Visitor) -> None:
    await shared.do(f"{shared.organization}/transfer", {"new_owner_id": ben.tenant.user_id})
    assert "You are an admin" in await shared.see(shared.organization)
    page = await ben.see(f"{shared.organization}/danger")
    assert "You are the owner" in page
    assert "Delete organization" in page
    assert "Delete organization" not in await shared.see(f"{shared.organization}/danger")
    assert "Transfer or delete" not in await shared.see(shared.organization)


async def test_deleting_requires_typing_the_name(shared: Visitor) -> None:
    assert (await shared.post(f"{shared.project}/delete", {"confirm": ""})).status_code == 400
    await shared.do(f"{shared.project}/delete", {"confirm": "Shared"})
    assert (await shared.get(shared.project)).status_code == 404
    assert (await shared.post(f"{shared.organization}/delete", {"confirm": "Shared"})).status_code == 400
    await shared.do(f"{shared.organization}/delete", {"confirm": "Team"})
    assert (await shared.get(shared.organization)).status_code == 404


async def test_the_personal_organization_cannot_be_deleted(ann: Visitor) -> None:
    assert "Delete organization" not in await ann.see(f"{ann.organization}/danger")
    assert (await ann.post(f"{ann.organization}/delete", {"confirm": "Personal"})).status_code == 409


async def test_only_managers_see_the_activity(shared: Visitor, ben: Visitor) -> None:
    page = await shared.see(f"{shared.organization}/activity")
    assert "Organization created alice" in page
    assert "Project created alice · Shared" in page
    await shared.post(f"{shared.project}/keys", {"name": "Laptop", "permission": "read", "expires_in_days": ""})
    await shared.post(f"{shared.project}/members", {"email": "new@example.com", "role": "viewer"})
    page = await shared.see(f"{shared.organization}/activity")
    assert "API key created alice · Laptop · Shared" in page
    assert "Invitation sent alice · new@example.com" in page
    assert (await ben.get(f"{shared.organization}/activity")).status_code == 403


async def test_an_organization_has_a_page_for_each_concern(shared: Visitor, ben: Visitor) -> None:
    await shared.post(f"{shared.project}/keys", {"name": "Laptop", "permission": "read", "expires_in_days": ""})
    seen_by_owner = {
        "": ("General", "Rename"),
        "/members": ("Members", "bob@example.com"),
        "/projects": ("Projects and use", "Shared 0 memories"),
        "/access": ("Apps and API keys", "Laptop API key Read only alice · Shared"),
        "/activity": ("Audit", "Project created"),
        "/danger": ("Transfer or delete", "Transfer ownership"),
    }
    for path, (name, part) in seen_by_owner.items():
        response = await shared.get(f"{shared.organization}{path}")
        assert f'<a href="{shared.organization}{path}" aria-current="page">{name}</a>' in response.text
        assert part in seen(response), path
    general = (await ben.get(shared.organization)).text
    assert re.findall(r'<li><a href="[^"]*"[^>]*>([^<]*)</a></li>', general) == [
        "General", "Members", "Projects and use",
    ]  # fmt: skip
    assert "Rename" not in general
    for path in ("/access", "/activity"):
        assert (await ben.get(f"{shared.organization}{path}")).status_code == 403
    await shared.do(f"{shared.organization}/projects", {"name": "Third"})
    assert "Third" in await shared.see(f"{shared.organization}/projects")


async def test_projects_are_sorted_without_case_and_accents(ann: Visitor) -> None:
    at = await team(ann)
    for name in ("Zoo", "Ärger", "apple"):
        await at.do(f"{at.organization}/projects", {"name": name})
    menu = (await at.get(at.project)).text.partition('class="menu"')[2].partition("<hr>")[0]
    names = re.findall(r">([^<]+)</a>", menu)
    assert [name for name in names if name in ("Zoo", "Ärger", "apple", "Shared")] == [
        "apple",
        "Ärger",
        "Shared",
        "Zoo",
    ]


async def test_nobody_is_preselected_to_be_added_or_to_become_owner(shared: Visitor, ben: Visitor) -> None:
    await shared.do(f"{shared.project}/members/{ben.tenant.user_id}/remove")
    for path, name in ((f"{shared.project}/members", "user_id"), (f"{shared.organization}/danger", "new_owner_id")):
        page = (await shared.get(path)).text
        assert re.search(rf'name="{name}" required><option value="">Choose a member</option><option', page), path


async def test_names_are_escaped(visit: Callable[[Tenant], Visitor], alice: Tenant) -> None:
    ann = visit(alice)
    name = "<b onclick=alert(1)>Ann"
    await ann.do("/dashboard/account/name", {"name": name})
    for path in ("/dashboard/account", f"{ann.project}/members", ann.organization, f"{ann.project}/keys"):
        response = await ann.get(path)
        assert "<b onclick" not in response.text, path
        assert name in seen(response).replace("you", "") or "&lt;b onclick" in response.text


async def test_an_invitation_expects_newcomers(ann: Visitor, client: httpx.AsyncClient) -> None:
    page = await client.get(await invite(ann, f"{ann.project}/members", email="new@example.com", role="viewer"))
    create = re.search(r'<a class="button primary" href="(/sign-up\?[^"]*)">Create account</a>', page.text)
    assert create
    assert 'value="new@example.com"' in (await client.get(html.unescape(create[1]))).text
    sign_in = re.search(r'href="(/sign-in\?[^"]*)"', page.text)
    assert sign_in
    form = await client.get(html.unescape(sign_in[1]))
    assert 'value="new@example.com"' in form.text
    assert "Sign in to answer your invitation." in form.text


async def test_no_form_makes_a_second_owner(shared: Visitor, ben: Visitor) -> None:
    change = f"{shared.organization}/members/{ben.tenant.user_id}/role"
    for path, fields in ((change, {}), (f"{shared.organization}/members", {"email": "new@example.com"})):
        refused = await shared.post(path, {**fields, "role": "owner"})
        assert refused.status_code == 400
        assert "transfer the ownership" in seen(refused)
