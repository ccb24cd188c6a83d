"""Every page of the dashboard on one screen."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from server.dashboard import permanent, static, step_up
from server.dashboard.pages import HOME, SETUP, Page
from server.dashboard.views import (
    account,
    connect,
    connections,
    duplicates,
    exchange,
    keys,
    live,
    members,
    memories,
    memory,
    notifications,
    organization,
    organization_members,
    organizations,
    overview,
    passkeys,
    project_activity,
    projects,
    provider,
    saved_views,
    selection,
    setup,
    trash,
    two_factor,
    uploads,
)
from server.runtime import State

PROJECT = HOME + "/projects/{project_id}"
MEMORY = HOME + "/memories/{memory_id}"
ORGANIZATION = HOME + "/organizations/{organization_id}"


async def root(_request: Request[State]) -> Response:
    return RedirectResponse(HOME, 303)


# fmt: off
PAGES = {
    HOME: Page(overview.home),
    PROJECT: Page(overview.show),
    PROJECT + "/examples": Page(overview.show, overview.add_examples, only_posts=True),
    PROJECT + "/memories": Page(memories.show),
    PROJECT + "/memories/new": Page(memory.new, memory.add),
    PROJECT + "/memories/selected": Page(
        memories.show, selection.act, only_posts=True, guard=permanent.of_selection),
    PROJECT + "/memories/restore": Page(memories.show, memory.restore, only_posts=True),
    PROJECT + "/views": Page(memories.show, saved_views.save, only_posts=True),
    PROJECT + "/views/{view_id}/rename": Page(memories.show, saved_views.rename, only_posts=True),
    PROJECT + "/views/{view_id}/delete": Page(memories.show, saved_views.delete, only_posts=True),
    PROJECT + "/live": Page(live.stream),
    PROJECT + "/similar": Page(duplicates.show),
    PROJECT + "/similar/merge": Page(
        duplicates.show, duplicates.merge, only_posts=True, guard=permanent.of_merge),
    PROJECT + "/trash": Page(trash.show),
    PROJECT + "/trash/{memory_id}/restore": Page(trash.show, trash.restore, only_posts=True),
    PROJECT + "/trash/{memory_id}/delete": Page(trash.show, trash.erase, only_posts=True),
    PROJECT + "/activity": Page(project_activity.show),
    PROJECT + "/activity/undo": Page(project_activity.show, project_activity.undo, only_posts=True),
    PROJECT + "/connect": Page(connect.show, connect.create_key, guard=step_up.unless_recent),
    PROJECT + "/connect/status": Page(connect.status),
    PROJECT + "/keys": Page(keys.show, keys.create, guard=step_up.unless_recent),
    PROJECT + "/keys/{key_id}/rename": Page(keys.show, keys.rename, only_posts=True),
    PROJECT + "/keys/{key_id}/replace": Page(
        keys.show, keys.replace, only_posts=True, guard=step_up.unless_recent),
    PROJECT + "/keys/{key_id}/revoke": Page(keys.show, keys.revoke, only_posts=True),
    PROJECT + "/members": Page(members.show, members.invite),
    PROJECT + "/members/add": Page(members.show, members.add, only_posts=True),
    PROJECT + "/members/{user_id}/role": Page(members.show, members.change_role, only_posts=True),
    PROJECT + "/members/{user_id}/remove": Page(members.show, members.remove, only_posts=True),
    PROJECT + "/invitations/{invitation_id}/cancel": Page(members.show, members.cancel, only_posts=True),
    PROJECT + "/transfer": Page(exchange.show, uploads.upload, read=uploads.read_upload),
    PROJECT + "/transfer/{upload_id}": Page(uploads.show, uploads.start, read=uploads.read_choice),
    PROJECT + "/transfer/{upload_id}/cancel": Page(uploads.show, uploads.cancel, only_posts=True),
    PROJECT + "/export": Page(exchange.export_file),
    PROJECT + "/settings": Page(projects.show),
    PROJECT + "/change": Page(projects.show, projects.change, only_posts=True),
    PROJECT + "/delete-memories": Page(projects.show, projects.delete_memories, only_posts=True),
    PROJECT + "/delete": Page(projects.show, projects.delete, only_posts=True, guard=step_up.unless_recent),

    MEMORY: Page(memory.show),
    MEMORY + "/edit": Page(memory.edit, memory.save),
    MEMORY + "/pin": Page(memory.show, memory.pin, only_posts=True),
    MEMORY + "/restore": Page(memory.show, memory.restore_version, only_posts=True),
    MEMORY + "/delete": Page(memory.show, memory.delete, only_posts=True, guard=permanent.of_memory),

    HOME + "/organizations": Page(organizations.show, organizations.create),
    HOME + "/projects": Page(organizations.show, organizations.create_project, only_posts=True),
    ORGANIZATION: Page(organization.show, organization_members.invite),
    ORGANIZATION + "/rename": Page(organization.show, organization.rename, only_posts=True),
    ORGANIZATION + "/members": Page(organization_members.show, organization_members.invite),
    ORGANIZATION + "/members/{user_id}/role": Page(
        organization_members.show, organization_members.change_role, only_posts=True),
    ORGANIZATION + "/members/{user_id}/remove": Page(
        organization_members.show, organization_members.remove, only_posts=True),
    ORGANIZATION + "/invitations/{invitation_id}/cancel": Page(
        organization_members.show, organization_members.cancel, only_posts=True),
    ORGANIZATION + "/projects": Page(organization.show_projects, organization.create_project),
    ORGANIZATION + "/access": Page(organization.show_access),
    ORGANIZATION + "/activity": Page(organization.show_activity),
    ORGANIZATION + "/danger": Page(organization.show_danger),
    ORGANIZATION + "/transfer": Page(
        organization.show_danger, organization.transfer, only_posts=True, guard=step_up.unless_recent),
    ORGANIZATION + "/delete": Page(
        organization.show_danger, organization.delete, only_posts=True, guard=step_up.unless_recent),

    HOME + "/connections": Page(connections.show),
    HOME + "/connections/{connection_id}/disconnect": Page(connections.show, connections.disconnect, only_posts=True),
    HOME + "/notifications": Page(notifications.show),
    HOME + "/notifications/read-all": Page(notifications.show, notifications.mark_all_read, only_posts=True),
    HOME + "/notifications/{notification_id}/read": Page(notifications.show, notifications.mark_read, only_posts=True),
    HOME + "/invitations/{invitation_id}": Page(notifications.show, notifications.answer_invitation, only_posts=True),

    HOME + "/account": Page(account.show),
    HOME + "/account/name": Page(account.show, account.rename, only_posts=True),
    HOME + "/account/email": Page(account.show, account.change_email, only_posts=True, guard=step_up.unless_recent),
    HOME + "/account/theme": Page(account.show, account.choose_theme, only_posts=True),
    HOME + "/account/time-format": Page(account.show, account.choose_time_format, only_posts=True),
    HOME + "/account/password": Page(account.show, account.change_password, only_posts=True),
    HOME + "/account/verify": Page(account.show, account.verify, only_posts=True),
    HOME + "/account/sessions/{session_id}/end": Page(account.show, account.end_session, only_posts=True),
    HOME + "/account/delete": Page(account.show, account.delete, only_posts=True, guard=step_up.unless_recent),
    HOME + "/account/two-factor": Page(two_factor.show, two_factor.set_up, guard=step_up.unless_recent),
    HOME + "/account/two-factor/on": Page(
        two_factor.show, two_factor.turn_on, only_posts=True, guard=step_up.unless_recent),
    HOME + "/account/two-factor/codes": Page(
        two_factor.show, two_factor.renew_codes, only_posts=True, guard=step_up.unless_recent),
    HOME + "/account/two-factor/off": Page(two_factor.show, two_factor.turn_off, only_posts=True, guard=step_up.always),
    HOME + "/account/passkeys": Page(passkeys.show, passkeys.add, guard=step_up.unless_recent),
    HOME + "/account/passkeys/{passkey_id}/delete": Page(
        passkeys.show, passkeys.remove, only_posts=True, guard=step_up.unless_recent),
}
# fmt: on

ROUTES = [
    Route("/", root, methods=["GET"]),
    Route(SETUP, setup.show, methods=["GET"]),
    Route("/static/{name}", static.send, methods=["GET"]),
    Route("/favicon.ico", static.send_to_icon, methods=["GET"]),
    *passkeys.ROUTES,
    *provider.ROUTES,
    *(Route(path, page) for path, page in PAGES.items()),
]
