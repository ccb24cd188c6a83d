"""The public names, written down a second time, so that changing one is a decision."""

import argparse
import ast
import re
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from rest.routes import ENDPOINTS
from server.__main__ import parser
from server.app import create_app
from server.domain.access import ORGANIZATION_ACTIONS, PROJECT_ACTIONS
from server.principal import Scope
from server.settings import Settings
from server.shell.operations import LIMITS, NAMES
from tests.conftest import Tenant

ROOT = Path(__file__).parent.parent
DOORS = ("rest", "tools", "oauth", "server/dashboard")


def test_the_scopes() -> None:
    assert [scope.value for scope in Scope] == ["memories:read", "memories:write"]


def test_what_a_role_in_an_organization_may() -> None:
    assert {role.value: sorted(action.value for action in may) for role, may in ORGANIZATION_ACTIONS.items()} == {
        "member": ["leave", "see"],
        "admin": ["create_project", "leave", "manage_members", "rename", "see", "see_audit"],
        "owner": ["create_project", "leave", "manage_members", "own", "rename", "see", "see_audit"],
    }


def test_what_a_role_in_a_project_may() -> None:
    viewer = ["create_read_key", "leave", "read", "see"]
    editor = [*viewer, "create_key", "write"]
    admin = [*editor, "delete_any_key", "delete_project", "manage_members", "rename", "revert", "set_trash_days"]
    assert {role.value: sorted(action.value for action in may) for role, may in PROJECT_ACTIONS.items()} == {
        "viewer": sorted(viewer),
        "editor": sorted(editor),
        "admin": sorted(admin),
    }


def test_the_settings() -> None:
    assert " ".join(Settings.model_fields) == (
        "host port public_url allowed_hosts data_dir database_url database_pool chroma_url chroma_tenant "
        "chroma_database chroma_token redis_url embedding_model embedding_url embedding_key exact_scan_limit "
        "workers "
        "secret_key smtp_url mail_from sign_up session_cookie session_days allowed_origins trusted_proxies "
        "metrics_token quota_memories quota_bytes trash_days activity_days rate_limit_enabled rate_limit_memory_add "
        "rate_limit_memory_search "
        "rate_limit_memory_change rate_limit_organization_create rate_limit_project_create "
        "rate_limit_invitation rate_limit_sign_up rate_limit_sign_in rate_limit_document "
        "rate_limit_registration rate_limit_request rate_limit_token_failure client_retention_days "
        "access_token_seconds refresh_token_days refresh_grace_seconds code_seconds cimd_enabled cimd_allow_private "
        "oidc_issuer oidc_client_id oidc_client_secret oidc_name log_level log_format"
    )


ROUTES = """
POST   /api/memories  memories_create
GET    /api/memories  memories_list_all
DELETE /api/memories  memories_delete_all
POST   /api/memories/batch  memories_create_batch
POST   /api/memories/search  search_find
GET    /api/memories/stats  memories_stats
GET    /api/memories/context  context_read
GET    /api/memories/trash  memories_list_trash
GET    /api/memories/{memory_id}  memories_get
PUT    /api/memories/{memory_id}  memories_update
PATCH  /api/memories/{memory_id}  memories_merge
DELETE /api/memories/{memory_id}  memories_delete
GET    /api/memories/{memory_id}/history  memories_history
POST   /api/memories/{memory_id}/restore  memories_restore
POST   /api/organizations  organizations_create
GET    /api/organizations  organizations_list_all
GET    /api/organizations/{organization_id}  organizations_get
PATCH  /api/organizations/{organization_id}  organizations_rename
DELETE /api/organizations/{organization_id}  organizations_delete
PUT    /api/organizations/{organization_id}/transfer-ownership  organizations_transfer
GET    /api/organizations/{organization_id}/audit  organizations_list_events
GET    /api/organizations/{organization_id}/members  members_list_of_organization
PUT    /api/organizations/{organization_id}/members/{user_id}  members_change_in_organization
DELETE /api/organizations/{organization_id}/members/{user_id}  members_remove_from_organization
POST   /api/organizations/{organization_id}/invitations  invitations_create
DELETE /api/organizations/{organization_id}/invitations/{invitation_id}  invitations_cancel
POST   /api/projects  projects_create
GET    /api/projects  projects_list_all
GET    /api/projects/{project_id}  projects_get
PATCH  /api/projects/{project_id}  projects_rename
DELETE /api/projects/{project_id}  projects_delete
GET    /api/projects/{project_id}/activity  activity_list_all
POST   /api/projects/{project_id}/revert  activity_undo
GET    /api/projects/{project_id}/members  members_list_of_project
POST   /api/projects/{project_id}/members  members_add_to_project
PUT    /api/projects/{project_id}/members/{user_id}  members_change_in_project
DELETE /api/projects/{project_id}/members/{user_id}  members_remove_from_project
POST   /api/projects/{project_id}/invitations  invitations_create_for_project
POST   /api/projects/{project_id}/api-keys  api_keys_create
GET    /api/projects/{project_id}/api-keys  api_keys_list_all
PATCH  /api/projects/{project_id}/api-keys/{key_id}  api_keys_rename
DELETE /api/projects/{project_id}/api-keys/{key_id}  api_keys_delete
GET    /api/invitations/pending  invitations_list_pending
GET    /api/invitations/{token}  invitations_show
POST   /api/invitations/{token}/accept  invitations_accept
POST   /api/invitations/{token}/decline  invitations_decline
GET    /api/notifications  notifications_list_all
PUT    /api/notifications/read-all  notifications_mark_all_read
PUT    /api/notifications/{notification_id}/read  notifications_mark_read
GET    /api/connections  connections_list_all
DELETE /api/connections/{connection_id}  connections_delete
GET    /api/users/me  users_me
PATCH  /api/users/me  users_rename_me
DELETE /api/users/me  users_delete_me
POST   /v1/memories/temporal-search/  sdk_temporal_search
POST   /v1/memories/tag-search/  sdk_tag_search
POST   /v1/memories/people-search/  sdk_people_search
GET    /v1/stats  sdk_stats
GET    /v1/health  sdk_health
GET    /health  health_health
GET    /health/live  health_live
GET    /health/ready  health_ready
GET    /metrics  health_metrics
GET    /openapi.json  openapi_document
GET    /docs  openapi_page
GET    /docs.css  openapi_style
"""


def test_the_rest_routes_and_their_operation_ids() -> None:
    served = [f"{endpoint.method:<6} {endpoint.path}  {endpoint.name}" for endpoint in ENDPOINTS]
    assert served == ROUTES.strip().splitlines()


async def test_head_is_get_without_the_body_at_every_address(client: httpx.AsyncClient, settings: Settings) -> None:
    """RFC 9110 section 9.1. Another method gets 405 with both in Allow."""
    for path in {re.sub(r"{\w+}", "x", route.path) for route in create_app(settings).routes}:  # type: ignore[attr-defined]  # Starlette's base class has none
        get, head, other = [await client.request(method, path) for method in ("GET", "HEAD", "PATCH")]
        assert (head.status_code, head.headers.get("allow")) == (get.status_code, get.headers.get("allow")), path
        if get.status_code != 405 and other.status_code == 405:
            assert {"GET", "HEAD"} <= set(other.headers["allow"].split(", ")), path


async def test_the_forms_of_the_door_say_how_they_may_be_asked(client: httpx.AsyncClient) -> None:
    for path in ("/sign-up", "/sign-in", "/sign-in/verify", "/forgot-password", "/reset-password/x", "/verify-email/x"):
        answer = await client.put(path)
        assert (answer.status_code, set(answer.headers["allow"].split(", "))) == (405, {"GET", "HEAD", "POST"})


def test_the_names_of_the_operations_in_the_metrics() -> None:
    assert " ".join(sorted(NAMES.values())) == (
        "accounts.delete activity.list_activity addresses.request_change addresses.requested_change "
        "api_keys.create api_keys.delete api_keys.list_keys api_keys.rename api_keys.replace "
        "arrivals.since assistants.count_uses assistants.recent_work audit.list_events audit.list_own "
        "audit.names_of_targets authorizations.approve authorizations.deny connections.disconnect "
        "connections.last_uses connections.list_connections connections.list_reaching connections.list_reaching_in "
        "context.read_context examples.add exchange.import_as_member facets.detail_names facets.facets "
        "identities.list_own "
        "imports.commit imports.committed_in imports.discard imports.publish imports.stage invitation_answers.accept "
        "invitation_answers.decline invitation_answers.list_pending invitations.cancel "
        "invitations.invite invitations.invite_to_project invitations.list_waiting "
        "invitations.list_waiting_for_project memories.add memories.add_many memories.delete memories.delete_all "
        "memories.edit memories.get memories.history memories.list_memories memories.merge memories.remember "
        "memories.restore memories.stats memories.to_change memories.update notifications.list_from_others "
        "notifications.list_notifications "
        "notifications.mark_all_read notifications.mark_read organization_members.change_role "
        "organization_members.list_members organization_members.remove organizations.create organizations.delete "
        "organizations.get organizations.list_organizations organizations.rename organizations.transfer "
        "overview.at_a_glance overview.model_notes passkeys.add passkeys.creation_options "
        "passkeys.list_own passkeys.remove passwords.change project_members.add project_members.change_role "
        "project_members.list_members project_members.remove projects.change projects.create projects.delete "
        "projects.get projects.list_projects revert.plan revert.undo_adds "
        "revert.undo_change revert.undo_deletions saved_views.delete saved_views.list_own saved_views.rename "
        "saved_views.save search.search second_factors.propose second_factors.proposed "
        "second_factors.renew_recovery_codes second_factors.status second_factors.turn_off second_factors.turn_on "
        "selection.delete selection.merge selection.move selection.pin selection.tag "
        "selection.undo_deletion sessions.list_own "
        "sessions.revoke similar.near_duplicates similar.similar_to step_up.is_fresh step_up.prove "
        "step_up.prove_by_passkey step_up.ways_of titles.titles_of trash.days trash.list_trash trash.restore users.me "
        "users.names_of users.rename versions.count_versions versions.read_history"
    )


METRICS = """
activity_dropped counter
activity_waiting gauge
deleted_projects gauge
healthy gauge part
index_owner gauge
index_pending gauge
index_pending_seconds gauge
index_work_done gauge
index_work_whole gauge
mails_waiting gauge
memories gauge
model_available gauge model
model_waiting gauge kind
operations counter operation
pool_slots gauge pool
pool_slots_used gauge pool
pool_waiting gauge pool
request_seconds histogram route
requests counter method route status
"""


def metrics_of(text: str) -> list[str]:
    """Return each metric with its kind and its labels."""
    families = (family for family in text_string_to_metric_families(text) if family.name.startswith("selfmemory_"))
    return sorted(
        " ".join([family.name.removeprefix("selfmemory_"), family.type, *labels])
        for family in families
        if not family.name.endswith("_created")
        for labels in [sorted({label for sample in family.samples for label in sample.labels} - {"le"})]
    )


async def test_the_metrics_and_their_labels(client: httpx.AsyncClient, alice: Tenant) -> None:
    await client.get("/api/memories", headers=alice.auth)
    shown = metrics_of((await client.get("/metrics")).text)
    assert shown == METRICS.strip().splitlines()
    told = (ROOT / "docs" / "operations.md").read_text("utf-8")
    assert [name for name in (line.split()[0] for line in shown) if f"`selfmemory_{name}" not in told] == []


def operations_run_by_doors() -> set[str]:
    """The dotted names of the domain functions that a door passes to `call.run(…)` or `call.read(…)`."""
    found = set()
    for file in (file for door in DOORS for file in (ROOT / door).rglob("*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        modules = {
            alias.asname or alias.name: f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("server.domain")
            for alias in node.names
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args and re.search(r"call\.(run|read)$", ast.unparse(node.func)):
                module, _, name = ast.unparse(node.args[0]).rpartition(".")
                if module in modules:
                    found.add(f"{modules[module]}.{name}")
    return found


def test_every_operation_that_a_door_runs_has_a_name() -> None:
    named = {f"{operation.__module__}.{operation.__name__}" for operation in NAMES}
    assert operations_run_by_doors() - named == set()
    assert set(LIMITS) <= set(NAMES)
    assert len(set(NAMES.values())) == len(NAMES)


COMMANDS = """
serve --host --port --workers
create-user --email --name --password --password-stdin
create-key --email --project --permissions --expires-in-days
reset-password --email --remove-second-factor
change-email --email --to
create-client --name --redirect-uri --confidential
backup
restore
reindex
doctor
check-connection
prepare-model
connect --key --write
export --project --format
import --project --format --on-duplicate
"""


def test_the_commands_and_their_options() -> None:
    verbs = next(action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    options = {
        name: [option for action in verb._actions for option in action.option_strings if option not in ("-h", "--help")]
        for name, verb in verbs.choices.items()
    }
    assert [" ".join([name, *given]) for name, given in options.items()] == COMMANDS.strip().splitlines()
