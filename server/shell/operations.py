"""Every operation that a signed-in caller can run, with its public name, and the rate limit that applies to it."""

from collections.abc import Callable
from typing import NamedTuple

from server.buckets import Bucket
from server.domain import accounts, addresses, audit, notifications, retention
from server.domain.grants import authorizations, connections
from server.domain.grants import retention as grant_retention
from server.domain.memory import (
    activity,
    changes,
    charges,
    context,
    deletions,
    examples,
    imports,
    memories,
    repeats,
    revert,
    search,
    selection,
    trash,
    versions,
)
from server.domain.memory.charges import Charge
from server.domain.memory.pages import arrivals, assistants, facets, model_notes, overview, saved_views, similar, titles
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

# fmt: off
OPERATIONS: tuple[Callable[..., object], ...] = (
    accounts.delete,
    activity.list_activity,
    addresses.request_change, addresses.requested_change,
    api_keys.create, api_keys.list_keys, api_keys.rename, api_keys.delete, api_keys.replace,
    arrivals.since,
    assistants.count_uses, assistants.recent_work,
    audit.list_events, audit.list_own, audit.names_of_targets,
    authorizations.approve, authorizations.deny,
    changes.to_change, changes.edit, changes.merge, changes.restore,
    connections.list_connections, connections.disconnect, connections.last_uses, connections.list_reaching,
    connections.list_reaching_in,
    context.read_context,
    deletions.delete, deletions.delete_all,
    examples.add,
    facets.facets, facets.detail_names,
    identities.list_own,
    imports.begin, imports.stage, imports.commit, imports.committed_in, imports.publish, imports.discard,
    invitation_answers.list_pending, invitation_answers.accept, invitation_answers.decline,
    invitations.invite, invitations.invite_to_project, invitations.cancel, invitations.list_pending,
    invitations.list_pending_for_project,
    memories.add, memories.add_many, memories.get, memories.list_memories, memories.update, memories.stats,
    model_notes.of_project,
    notifications.list_notifications, notifications.list_from_others, notifications.mark_read,
    notifications.mark_all_read,
    organization_members.list_members, organization_members.change_role, organization_members.remove,
    organizations.create, organizations.list_organizations, organizations.get, organizations.rename,
    organizations.transfer, organizations.delete,
    overview.at_a_glance,
    passkeys.list_own, passkeys.creation_options, passkeys.add, passkeys.remove,
    passwords.change,
    project_members.list_members, project_members.add, project_members.change_role, project_members.remove,
    projects.create, projects.list_projects, projects.get, projects.change, projects.delete,
    repeats.remember,
    revert.plan, revert.undo_adds, revert.undo_deletions, revert.undo_change,
    saved_views.list_own, saved_views.save, saved_views.rename, saved_views.delete,
    search.search,
    second_factors.status, second_factors.propose, second_factors.proposed, second_factors.turn_on,
    second_factors.renew_recovery_codes, second_factors.turn_off,
    selection.pin, selection.tag, selection.move, selection.merge, selection.delete, selection.undo_deletion,
    sessions.list_own, sessions.revoke,
    similar.near_duplicates, similar.similar_to,
    step_up.is_fresh, step_up.ways_of, step_up.prove, step_up.prove_by_passkey,
    titles.titles_of,
    trash.days, trash.list_trash, trash.restore,
    users.me, users.rename, users.names_of,
    versions.history, versions.read_history, versions.count_versions,
)
# fmt: on

EARLIER_NAMES: dict[Callable[..., object], str] = {
    changes.to_change: "memories.to_change",
    changes.edit: "memories.edit",
    changes.merge: "memories.merge",
    changes.restore: "memories.restore",
    repeats.remember: "memories.remember",
    versions.history: "memories.history",
    deletions.delete: "memories.delete",
    deletions.delete_all: "memories.delete_all",
    model_notes.of_project: "overview.model_notes",
    imports.begin: "exchange.import_as_member",
    invitations.list_pending: "invitations.list_waiting",
    invitations.list_pending_for_project: "invitations.list_waiting_for_project",
}
"""Operations that had another module or name when they got their public name."""

NAMES = {
    operation: EARLIER_NAMES.get(operation) or f"{operation.__module__.rpartition('.')[2]}.{operation.__name__}"
    for operation in OPERATIONS
}
"""The `operation` label of the metrics. The names are public: they stay when a module moves."""

HASHING: frozenset[Callable[..., object]] = frozenset(
    {accounts.reset_password, accounts.sign_up, addresses.verify, passwords.change, sessions.sign_in, step_up.prove}
)
"""Operations that hash a password. Only a few run at a time."""

ENDING: frozenset[Callable[..., object]] = frozenset({imports.publish, imports.discard})
"""Operations that end what was decided before. They go on after the credential that decided it has ended."""

READING_FIRST: frozenset[Callable[..., object]] = frozenset(
    {memories.add, memories.add_many, retention.remove_ended, grant_retention.remove_expired}
)
"""Operations that only read until they need vectors, which are missing at their first attempt, or until they know what
to delete.
"""


class Limit(NamedTuple):
    """The bucket that an operation counts in. `charge` returns its cost and the project; without it, the cost is 1."""

    bucket: Bucket
    charge: Callable[..., Charge] | None = None


LIMITS: dict[Callable[..., object], Limit] = {
    memories.add: Limit(Bucket.MEMORY_ADD, charges.of_request),
    memories.add_many: Limit(Bucket.MEMORY_ADD, charges.of_batch),
    repeats.remember: Limit(Bucket.MEMORY_ADD, charges.of_request),
    examples.add: Limit(Bucket.MEMORY_ADD, charges.of_examples),
    memories.update: Limit(Bucket.MEMORY_CHANGE, charges.of_change),
    changes.edit: Limit(Bucket.MEMORY_CHANGE, charges.of_change),
    changes.merge: Limit(Bucket.MEMORY_CHANGE, charges.of_merge),
    changes.restore: Limit(Bucket.MEMORY_CHANGE, charges.of_restoration),
    deletions.delete: Limit(Bucket.MEMORY_CHANGE, charges.of_one),
    deletions.delete_all: Limit(Bucket.MEMORY_CHANGE, charges.of_project),
    selection.pin: Limit(Bucket.MEMORY_CHANGE, charges.of_selection),
    selection.tag: Limit(Bucket.MEMORY_CHANGE, charges.of_selection),
    selection.move: Limit(Bucket.MEMORY_CHANGE, charges.of_selection),
    selection.merge: Limit(Bucket.MEMORY_CHANGE, charges.of_selection),
    selection.delete: Limit(Bucket.MEMORY_CHANGE, charges.of_selection),
    selection.undo_deletion: Limit(Bucket.MEMORY_CHANGE, charges.of_project),
    trash.restore: Limit(Bucket.MEMORY_CHANGE, charges.of_one),
    search.search: Limit(Bucket.MEMORY_SEARCH, charges.of_request),
    organizations.create: Limit(Bucket.ORGANIZATION_CREATE),
    projects.create: Limit(Bucket.PROJECT_CREATE),
    invitations.invite: Limit(Bucket.INVITATION),
    invitations.invite_to_project: Limit(Bucket.INVITATION),
}
"""The rate limit of each operation, for every door."""
