"""Every page of the dashboard on one screen."""

from functools import partial

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from server.dashboard import permanent, static, step_up
from server.dashboard.pages import HOME, Form, Page
from server.dashboard.preferences import PREFERENCES
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
    trash,
    two_factor,
    uploads,
)
from server.shell.runtime import State

PROJECT = HOME + "/projects/{project_id}"
MEMORY = HOME + "/memories/{memory_id}"
ORGANIZATION = HOME + "/organizations/{organization_id}"


async def root(_request: Request[State]) -> Response:
    return RedirectResponse(HOME, 303)


PAGES = {
    HOME: Page(overview.home),
    PROJECT: Page(overview.show),
    PROJECT + "/examples": Form(overview.show, overview.add_examples),
    PROJECT + "/memories": Page(memories.show),
    PROJECT + "/memories/new": Page(memory.new, memory.add),
    PROJECT + "/memories/undo-deletion": Form(memories.show, selection.undo_deletion),
    PROJECT + "/memories/selected": Form(memories.show, selection.act, guard=permanent.of_selection),
    PROJECT + "/memories/restore": Form(memories.show, memory.restore),
    PROJECT + "/views": Form(memories.show, saved_views.save),
    PROJECT + "/views/{view_id}/rename": Form(memories.show, saved_views.rename),
    PROJECT + "/views/{view_id}/delete": Form(memories.show, saved_views.delete),
    PROJECT + "/live": Page(live.stream),
    PROJECT + "/similar": Page(duplicates.show),
    PROJECT + "/similar/merge": Form(duplicates.show, duplicates.merge, guard=permanent.of_merge),
    PROJECT + "/trash": Page(trash.show),
    PROJECT + "/trash/{memory_id}/restore": Form(trash.show, trash.restore),
    PROJECT + "/trash/{memory_id}/delete": Form(trash.show, trash.erase),
    PROJECT + "/activity": Page(project_activity.show),
    PROJECT + "/activity/undo": Form(project_activity.show, project_activity.undo),
    PROJECT + "/connect": Page(connect.show, connect.create_key, guard=step_up.unless_recent),
    PROJECT + "/connect/status": Page(connect.status),
    PROJECT + "/keys": Page(keys.show, keys.create, guard=step_up.unless_recent),
    PROJECT + "/keys/{key_id}/rename": Form(keys.show, keys.rename),
    PROJECT + "/keys/{key_id}/replace": Form(keys.show, keys.replace, guard=step_up.unless_recent),
    PROJECT + "/keys/{key_id}/revoke": Form(keys.show, keys.revoke),
    PROJECT + "/members": Page(members.show, members.invite),
    PROJECT + "/members/add": Form(members.show, members.add),
    PROJECT + "/members/{user_id}/role": Form(members.show, members.change_role),
    PROJECT + "/members/{user_id}/remove": Form(members.show, members.remove),
    PROJECT + "/invitations/{invitation_id}/cancel": Form(members.show, members.cancel),
    PROJECT + "/transfer": Page(exchange.show, uploads.upload, read=uploads.read_upload),
    PROJECT + "/transfer/{upload_id}": Page(uploads.show, uploads.start, read=uploads.read_choice),
    PROJECT + "/transfer/{upload_id}/cancel": Form(uploads.show, uploads.cancel),
    PROJECT + "/export": Page(exchange.export_file),
    PROJECT + "/settings": Page(projects.show),
    PROJECT + "/change": Form(projects.show, projects.change),
    PROJECT + "/delete-memories": Form(projects.show, projects.delete_memories),
    PROJECT + "/delete": Form(projects.show, projects.delete, guard=step_up.unless_recent),
    MEMORY: Page(memory.show),
    MEMORY + "/edit": Page(memory.edit, memory.save),
    MEMORY + "/pin": Form(memory.show, memory.pin),
    MEMORY + "/restore": Form(memory.show, memory.restore_version),
    MEMORY + "/delete": Form(memory.show, memory.delete, guard=permanent.of_memory),
    HOME + "/organizations": Page(organizations.show, organizations.create),
    HOME + "/projects": Form(organizations.show, organizations.create_project),
    ORGANIZATION: Page(organization.show),
    ORGANIZATION + "/rename": Form(organization.show, organization.rename),
    ORGANIZATION + "/members": Page(organization_members.show, organization_members.invite),
    ORGANIZATION + "/members/{user_id}/role": Form(organization_members.show, organization_members.change_role),
    ORGANIZATION + "/members/{user_id}/remove": Form(organization_members.show, organization_members.remove),
    ORGANIZATION + "/invitations/{invitation_id}/cancel": Form(organization_members.show, organization_members.cancel),
    ORGANIZATION + "/projects": Page(organization.show_projects, organization.create_project),
    ORGANIZATION + "/access": Page(organization.show_access),
    ORGANIZATION + "/activity": Page(organization.show_activity),
    ORGANIZATION + "/danger": Page(organization.show_danger),
    ORGANIZATION + "/transfer": Form(organization.show_danger, organization.transfer, guard=step_up.unless_recent),
    ORGANIZATION + "/delete": Form(organization.show_danger, organization.delete, guard=step_up.unless_recent),
    HOME + "/connections": Page(connections.show),
    HOME + "/connections/{connection_id}/disconnect": Form(connections.show, connections.disconnect),
    HOME + "/notifications": Page(notifications.show),
    HOME + "/notifications/read-all": Form(notifications.show, notifications.mark_all_read),
    HOME + "/notifications/{notification_id}/read": Form(notifications.show, notifications.mark_read),
    HOME + "/invitations/{invitation_id}": Form(notifications.show, notifications.answer_invitation),
    HOME + "/account": Page(account.show),
    HOME + "/account/name": Form(account.show, account.rename),
    HOME + "/account/email": Form(account.show, account.change_email, guard=step_up.unless_recent),
    **{HOME + f"/account/{one.name}": Form(account.show, partial(account.choose, one)) for one in PREFERENCES},
    HOME + "/account/password": Form(account.show, account.change_password),
    HOME + "/account/verify": Form(account.show, account.verify),
    HOME + "/account/sessions/{session_id}/end": Form(account.show, account.end_session),
    HOME + "/account/delete": Form(account.show, account.delete, guard=step_up.unless_recent),
    HOME + "/account/two-factor": Page(two_factor.show, two_factor.set_up, guard=step_up.unless_recent),
    HOME + "/account/two-factor/on": Form(two_factor.show, two_factor.turn_on, guard=step_up.unless_recent),
    HOME + "/account/two-factor/codes": Form(two_factor.show, two_factor.renew_codes, guard=step_up.unless_recent),
    HOME + "/account/two-factor/off": Form(two_factor.show, two_factor.turn_off, guard=step_up.always),
    HOME + "/account/passkeys": Page(passkeys.show, passkeys.add, guard=step_up.unless_recent),
    HOME + "/account/passkeys/{passkey_id}/delete": Form(passkeys.show, passkeys.remove, guard=step_up.unless_recent),
}

ROUTES = [
    Route("/", root, methods=["GET"]),
    Route("/static/{name}", static.send, methods=["GET"]),
    Route("/favicon.ico", static.send_to_icon, methods=["GET"]),
    *passkeys.ROUTES,
    *provider.ROUTES,
    *(Route(path, page) for path, page in PAGES.items()),
]
