"""Every operation that a signed-in caller can run, with its public name, and the rate limit that counts it."""

from collections.abc import Callable

from server.domain import accounts, audit, notifications
from server.domain.grants import authorizations, connections
from server.domain.memory import memories, overview, search
from server.domain.people import identities, passkeys, passwords, sessions, users
from server.domain.teams import (
    api_keys,
    invitation_answers,
    invitations,
    organization_members,
    organizations,
    project_members,
    projects,
)
from server.limits import Bucket

NAMES: dict[Callable[..., object], str] = {
    accounts.delete: "accounts.delete",
    audit.list_events: "audit.list_events",
    authorizations.approve: "authorizations.approve",
    authorizations.deny: "authorizations.deny",
    connections.list_connections: "connections.list_connections",
    connections.disconnect: "connections.disconnect",
    memories.add: "memories.add",
    memories.add_many: "memories.add_many",
    memories.get: "memories.get",
    memories.list_memories: "memories.list_memories",
    memories.update: "memories.update",
    memories.history: "memories.history",
    memories.delete: "memories.delete",
    memories.delete_all: "memories.delete_all",
    memories.stats: "memories.stats",
    overview.overview: "overview.overview",
    search.search: "search.search",
    notifications.list_notifications: "notifications.list_notifications",
    notifications.mark_read: "notifications.mark_read",
    notifications.mark_all_read: "notifications.mark_all_read",
    identities.list_own: "identities.list_own",
    passkeys.list_own: "passkeys.list_own",
    passkeys.creation_options: "passkeys.creation_options",
    passkeys.add: "passkeys.add",
    passkeys.remove: "passkeys.remove",
    passwords.change: "passwords.change",
    sessions.list_own: "sessions.list_own",
    sessions.revoke: "sessions.revoke",
    users.me: "users.me",
    users.rename: "users.rename",
    api_keys.create: "api_keys.create",
    api_keys.list_keys: "api_keys.list_keys",
    api_keys.delete: "api_keys.delete",
    invitation_answers.show: "invitation_answers.show",
    invitation_answers.list_pending: "invitation_answers.list_pending",
    invitation_answers.accept: "invitation_answers.accept",
    invitation_answers.decline: "invitation_answers.decline",
    invitations.invite: "invitations.invite",
    invitations.invite_to_project: "invitations.invite_to_project",
    invitations.cancel: "invitations.cancel",
    invitations.list_pending: "invitations.list_waiting",
    invitations.list_pending_for_project: "invitations.list_waiting_for_project",
    organization_members.list_members: "organization_members.list_members",
    organization_members.change_role: "organization_members.change_role",
    organization_members.remove: "organization_members.remove",
    organizations.create: "organizations.create",
    organizations.list_organizations: "organizations.list_organizations",
    organizations.get: "organizations.get",
    organizations.transfer: "organizations.transfer",
    organizations.delete: "organizations.delete",
    project_members.list_members: "project_members.list_members",
    project_members.add: "project_members.add",
    project_members.change_role: "project_members.change_role",
    project_members.remove: "project_members.remove",
    projects.create: "projects.create",
    projects.list_projects: "projects.list_projects",
    projects.get: "projects.get",
    projects.delete: "projects.delete",
}
"""The `operation` label of the metrics. Public: a module may move, its operations keep their names."""

BUCKETS: dict[str, Bucket] = {
    "memories.add": Bucket.MEMORY_ADD,
    "memories.add_many": Bucket.MEMORY_ADD,
    "search.search": Bucket.MEMORY_SEARCH,
    "organizations.create": Bucket.ORGANIZATION_CREATE,
    "projects.create": Bucket.PROJECT_CREATE,
    "invitations.invite": Bucket.INVITATION,
    "invitations.invite_to_project": Bucket.INVITATION,
}
"""The bucket that counts an operation, by its name, through every door. `rest.routes` documents the same table."""
