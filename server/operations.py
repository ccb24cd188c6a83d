"""Every operation that a signed-in caller can run, with its public name, and the rate limit that counts it."""

from collections.abc import Callable

from server.buckets import Bucket
from server.domain import accounts, audit, notifications
from server.domain.grants import authorizations, connections
from server.domain.memory import (
    changes,
    charges,
    deletions,
    imports,
    memories,
    overview,
    repeats,
    search,
    trash,
    versions,
)
from server.domain.memory.charges import Charge
from server.domain.people import identities, passkeys, passwords, second_factors, sessions, step_up, users
from server.domain.teams import (
    api_keys,
    invitation_answers,
    invitations,
    organization_members,
    organizations,
    project_members,
    projects,
)

NAMES: dict[Callable[..., object], str] = {
    accounts.delete: "accounts.delete",
    audit.list_events: "audit.list_events",
    audit.list_own: "audit.list_own",
    authorizations.approve: "authorizations.approve",
    authorizations.deny: "authorizations.deny",
    connections.list_connections: "connections.list_connections",
    connections.disconnect: "connections.disconnect",
    connections.first_use: "connections.first_use",
    memories.add: "memories.add",
    memories.add_many: "memories.add_many",
    memories.get: "memories.get",
    memories.list_memories: "memories.list_memories",
    memories.update: "memories.update",
    changes.merge: "memories.merge",
    changes.restore: "memories.restore",
    repeats.remember: "memories.remember",
    versions.history: "memories.history",
    versions.count_versions: "versions.count_versions",
    deletions.delete: "memories.delete",
    deletions.delete_all: "memories.delete_all",
    trash.list_trash: "trash.list_trash",
    trash.restore: "trash.restore",
    memories.stats: "memories.stats",
    overview.overview: "overview.overview",
    overview.at_a_glance: "overview.at_a_glance",
    imports.begin: "exchange.import_as_member",  # the name from when an import was one operation
    imports.stage: "imports.stage",
    imports.commit: "imports.commit",
    imports.publish: "imports.publish",
    imports.discard: "imports.discard",
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
    second_factors.status: "second_factors.status",
    second_factors.propose: "second_factors.propose",
    second_factors.proposed: "second_factors.proposed",
    second_factors.turn_on: "second_factors.turn_on",
    second_factors.renew_recovery_codes: "second_factors.renew_recovery_codes",
    second_factors.turn_off: "second_factors.turn_off",
    step_up.is_fresh: "step_up.is_fresh",
    step_up.ways_of: "step_up.ways_of",
    step_up.prove: "step_up.prove",
    step_up.prove_by_passkey: "step_up.prove_by_passkey",
    sessions.list_own: "sessions.list_own",
    sessions.revoke: "sessions.revoke",
    users.me: "users.me",
    users.rename: "users.rename",
    users.names_of: "users.names_of",
    api_keys.create: "api_keys.create",
    api_keys.list_keys: "api_keys.list_keys",
    api_keys.rename: "api_keys.rename",
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
    organizations.rename: "organizations.rename",
    organizations.transfer: "organizations.transfer",
    organizations.delete: "organizations.delete",
    project_members.list_members: "project_members.list_members",
    project_members.add: "project_members.add",
    project_members.change_role: "project_members.change_role",
    project_members.remove: "project_members.remove",
    projects.create: "projects.create",
    projects.list_projects: "projects.list_projects",
    projects.get: "projects.get",
    projects.rename: "projects.rename",
    projects.change: "projects.change",
    projects.delete: "projects.delete",
    projects.reachable: "projects.reachable",
}
"""The `operation` label of the metrics. Public: a module may move, its operations keep their names."""

HASHING: frozenset[Callable[..., object]] = frozenset(
    {accounts.reset_password, accounts.sign_up, accounts.verify, passwords.change, sessions.sign_in, step_up.prove}
)
"""Operations that hash a password. Few run at a time."""

BUCKETS: dict[str, Bucket] = {
    "memories.add": Bucket.MEMORY_ADD,
    "memories.add_many": Bucket.MEMORY_ADD,
    "memories.remember": Bucket.MEMORY_ADD,
    "memories.update": Bucket.MEMORY_CHANGE,
    "memories.merge": Bucket.MEMORY_CHANGE,
    "memories.restore": Bucket.MEMORY_CHANGE,
    "memories.delete": Bucket.MEMORY_CHANGE,
    "memories.delete_all": Bucket.MEMORY_CHANGE,
    "trash.restore": Bucket.MEMORY_CHANGE,
    "search.search": Bucket.MEMORY_SEARCH,
    "organizations.create": Bucket.ORGANIZATION_CREATE,
    "projects.create": Bucket.PROJECT_CREATE,
    "invitations.invite": Bucket.INVITATION,
    "invitations.invite_to_project": Bucket.INVITATION,
}
"""The bucket that counts an operation, by its name, through every door. `rest.routes` documents the same table."""

CHARGES: dict[str, Callable[..., Charge]] = {
    "memories.add": charges.of_addition,
    "memories.add_many": charges.of_batch,
    "memories.remember": charges.of_addition,
    "memories.update": charges.of_change,
    "memories.merge": charges.of_merge,
    "memories.restore": charges.of_restoration,
    "memories.delete": charges.of_one,
    "trash.restore": charges.of_one,
    "memories.delete_all": charges.of_deletion_of_all,
    "search.search": charges.of_search,
}
"""How much an operation counts, and in which project. Any other counts 1 for the person."""
