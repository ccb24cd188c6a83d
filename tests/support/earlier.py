"""A database of an earlier version with a row in every table, to prove that migrations keep the data."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from server.storage.database import MIGRATIONS, Database

CREATED = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
LATER = CREATED + timedelta(days=3650)
VECTOR = b"\0" * 4 * 384

ROWS: dict[str, list[dict[str, object]]] = {
    "users": [
        {"id": "user_ann", "email": "ann@example.com", "name": "Ann", "password_hash": None},
        {"id": "user_ben", "email": "ben@example.com", "name": "Ben", "password_hash": None},
    ],
    "organizations": [
        {"id": "org_ann", "name": "Personal", "name_key": "personal", "kind": "personal", "owner_id": "user_ann"},
        {"id": "org_ben", "name": "Personal", "name_key": "personal", "kind": "personal", "owner_id": "user_ben"},
        {"id": "org_team", "name": "Team", "name_key": "team", "kind": "custom", "owner_id": "user_ann"},
    ],
    "organization_members": [{"organization_id": "org_team", "user_id": "user_ben", "role": "member"}],
    "projects": [
        {"id": "proj_one", "organization_id": "org_team", "name": "One", "name_key": "one", "created_by": "user_ann",
         "revision": 2, "removals": 0, "memory_count": 1, "piece_count": 1},
    ],
    "project_members": [
        {"project_id": "proj_one", "user_id": "user_ann", "role": "admin"},
        {"project_id": "proj_one", "user_id": "user_ben", "role": "viewer"},
    ],
    "sessions": [{"id": "ses_one", "user_id": "user_ann", "token_hash": "session", "user_agent": "",
                  "last_seen_at": CREATED, "expires_at": LATER}],
    "mailed_tokens": [{"id": "mtk_one", "user_id": "user_ann", "purpose": "reset", "token_hash": "mailed",
                       "expires_at": LATER}],
    "memories": [
        {"number": 1, "id": "mem_one", "project_id": "proj_one", "user_id": None, "content": "new text",
         "content_hash": "h", "messages": None, "metadata": {"tags": "a,b"}, "version": 2, "revision": 2,
         "embedding_model": "none", "piece_count": 1, "created_by": "user_ann", "updated_by": "user_ben"},
    ],
    "memory_versions": [
        {"memory_number": 1, "version": 1, "content": "old text", "metadata": {"tags": "a"}, "updated_by": "user_ann"},
    ],
    "labels": [{"memory_number": 1, "kind": "tag", "value": "a", "project_id": "proj_one"}],
    "pieces": [{"memory_number": 1, "position": 0, "project_id": "proj_one", "start": 0, "end": 8, "vector": VECTOR}],
    "index_tasks": [{"number": 1, "project_id": "proj_one", "memory_number": 1, "piece_count": 0}],
    "idempotency_keys": [{"project_id": "proj_one", "created_by": "user_ann", "key_hash": "k", "body_hash": "b",
                          "memory_ids": ["mem_one"]}],
    "api_keys": [{"id": "key_one", "project_id": "proj_one", "created_by": "user_ann", "name": "one",
                  "prefix": "sk_im_abcd", "token_hash": "key", "permissions": ["read", "write"]}],
    "invitations": [
        {"id": "inv_one", "organization_id": "org_team", "project_id": None, "email": "eve@example.com",
         "role": "member", "token_hash": "invitation", "invited_by": "user_ann", "status": "pending",
         "expires_at": LATER},
    ],
    "invitation_projects": [{"invitation_id": "inv_one", "project_id": "proj_one", "role": "viewer"}],
    "notifications": [{"id": "ntf_one", "user_id": "user_ben", "type": "role_changed", "title": "t", "message": "m",
                       "metadata": {}}],
    "mails": [{"id": "mail_one", "sealed": b"x", "attempts": 0, "due_at": LATER}],
    "audit_events": [
        {"id": "evt_one", "organization_id": "org_team", "type": "project.created", "actor_id": "user_ann",
         "target": "proj_one", "metadata": {}},
        {"id": "evt_two", "organization_id": None, "type": "session.failed", "actor_id": None, "target": "",
         "metadata": {}},
    ],
    "oauth_clients": [
        {"id": "client_one", "kind": "registered", "name": "App", "redirect_uris": ["http://localhost/cb"],
         "grant_types": ["authorization_code", "refresh_token"], "auth_method": "none", "metadata": {},
         "read_at": CREATED, "authorized_at": CREATED},
    ],
    "oauth_parked_requests": [{"id": "parked_one", "query": "client_id=client_one", "expires_at": LATER}],
    "oauth_authorization_requests": [
        {"id": "request_one", "session_id": "ses_one", "client_id": "client_one",
         "redirect_uri": "http://localhost/cb", "scopes": ["memories:read"], "state": None, "code_challenge": "c",
         "expires_at": LATER},
    ],
    "oauth_codes": [
        {"code_hash": "code", "request_id": "request_one", "client_id": "client_one", "user_id": "user_ann",
         "project_id": "proj_one", "redirect_uri": "http://localhost/cb", "scopes": ["memories:read"],
         "code_challenge": "c", "expires_at": LATER, "used_at": CREATED, "grant_id": "con_one"},
    ],
    "oauth_grants": [{"id": "con_one", "user_id": "user_ann", "client_id": "client_one", "project_id": "proj_one",
                      "scopes": ["memories:read"]}],
    "oauth_access_tokens": [{"token_hash": "access", "grant_id": "con_one", "scopes": ["memories:read"],
                             "expires_at": LATER}],
    "oauth_refresh_tokens": [{"token_hash": "refresh", "grant_id": "con_one", "expires_at": LATER,
                              "rotated_at": CREATED}],
}  # fmt: skip


def upgrade_to(url: str, revision: str) -> None:
    """Bring the database at `url` to the schema of `revision`."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    database = Database(url, connections=1)
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    database.close()


def database_at(url: str, revision: str) -> None:
    """Create the schema of `revision` in an empty database and fill each of its tables with `ROWS`."""
    upgrade_to(url, revision)
    database = Database(url, connections=1)
    with database.engine.begin() as connection:
        schema = sa.MetaData()
        schema.reflect(connection, only=list(ROWS))
        for table in schema.sorted_tables:
            connection.execute(sa.insert(table), [_completed(table, row) for row in ROWS[table.name]])
        if connection.dialect.name == "postgresql":  # explicit numbers do not move a sequence
            for name in ("memories", "index_tasks"):
                connection.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('{name}', 'number'), 1)")
    database.close()


def _completed(table: sa.Table, row: dict[str, object]) -> dict[str, object]:
    """Return the row with a time in each timestamp column that it leaves out."""
    moments = (column for column in table.columns if isinstance(column.type, sa.DateTime) and not column.nullable)
    return {column.name: CREATED for column in moments} | row
