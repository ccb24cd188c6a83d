"""Finding what a user can reach uses indexes, so it does not slow down with the number of users."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain.access import reachable_organizations, reachable_projects
from server.domain.memory import revert, trash
from server.domain.teams import organizations, projects
from server.models import Invitation, Organization, OrganizationMember, Project, ProjectMember, TrashedMemory, User
from server.models.base import now
from server.principal import CredentialKind, Principal
from server.settings import Settings
from server.storage.database import Database

TENANTS = 2_000
"""Enough for Postgres to prefer an index to reading a whole table."""

GOVERNOR, GUEST = (Principal(f"user_{n}", CredentialKind.SESSION, "session") for n in (7, 8))


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """Everybody has an organization with a project. The governor is also an admin of one more, and the guest joined
    one project of it."""
    database = Database(settings.database_url.get_secret_value(), connections=1)
    numbers, at = range(TENANTS), now()
    with database.write() as session:
        session.execute(sa.insert(User), [{"id": f"user_{n}", "email": f"{n}@example.com"} for n in numbers])
        organization = [
            {"id": f"org_{n}", "name": "One", "name_key": "one", "owner_id": f"user_{n}", "kind": "personal"}
            for n in numbers
        ]
        session.execute(sa.insert(Organization), organization)
        project = [
            {"id": f"proj_{n}", "organization_id": f"org_{n}", "name": "One", "name_key": "one",
             "created_by": f"user_{n}"} for n in numbers
        ]  # fmt: skip
        session.execute(sa.insert(Project), project)
        member = [
            {"organization_id": f"org_{n}", "user_id": f"user_{(n + 1) % TENANTS}", "role": "member", "joined_at": at}
            for n in numbers
        ]
        member.append({"organization_id": "org_1", "user_id": "user_7", "role": "admin", "joined_at": at})
        session.execute(sa.insert(OrganizationMember), member)
        joined = [
            {"project_id": f"proj_{n}", "user_id": f"user_{(n + 2) % TENANTS}", "role": "viewer", "joined_at": at}
            for n in numbers
        ]
        session.execute(sa.insert(ProjectMember), joined)
    with database.engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE")
    yield database
    database.close()


def test_it_is_found_by_indexes(database: Database) -> None:
    with database.read() as session:
        for principal in (GOVERNOR, GUEST):
            for query in (reachable_projects(principal), reachable_organizations(principal)):
                assert not tables_read_whole(session, query)


def test_what_is_over_in_the_trash_and_invitations_are_found_by_indexes(database: Database) -> None:
    kept = {"memory": {}, "versions": [], "spans": [], "embedding_model": "", "vectors": b""}
    until = {"deleted_at": now(), "deleted_until": now() + timedelta(days=9), "expires_at": now() + timedelta(days=9)}
    trashed = [{"id": f"mem_{n}", "project_id": f"proj_{n}", **kept, **until} for n in range(TENANTS)]
    invited = [
        {"id": f"inv_{n}", "organization_id": f"org_{n}", "email": f"{n}@example.com", "invited_by": f"user_{n}",
         "token_hash": str(n), "status": "pending", "role": "member", "expires_at": now()} for n in range(TENANTS)
    ]  # fmt: skip
    with database.write() as session:
        session.execute(sa.insert(TrashedMemory), trashed)
        session.execute(sa.insert(Invitation), invited)
        session.connection().exec_driver_sql("ANALYZE")
        assert not tables_read_whole(session, sa.select(col(TrashedMemory.id)).where(trash.is_over(now())))
        of_organization = col(Invitation.organization_id) == "org_7"
        assert not tables_read_whole(session, sa.select(col(Invitation.id)).where(of_organization))


def test_it_is_what_the_roles_say(database: Database) -> None:
    with database.read() as session:
        reached = {one.project.id: one.role for one in projects.list_projects(session, GOVERNOR)}
        assert reached == {"proj_1": "admin", "proj_5": "viewer", "proj_7": "admin"}
        assert [one.project.id for one in projects.reachable(session, GUEST)] == ["proj_6", "proj_8"]
        joined = {one.organization.id: one.role for one in organizations.list_organizations(session, GOVERNOR)}
        assert joined == {"org_1": "admin", "org_6": "member", "org_7": "owner"}


def test_a_revert_reads_only_versions_of_its_own_project(database: Database) -> None:
    if not database.is_sqlite:
        return  # Postgres decides by the number of rows
    plans: list[str] = []
    reversion = revert.Reversion("proj_7", "key_1", now())

    @sa.event.listens_for(database.engine, "before_cursor_execute")
    def explain(*event: Any) -> None:
        connection, _, statement, parameters, *_ = event
        rows = connection.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        plans.extend(row[-1] for row in rows)

    with database.read() as session:
        revert.plan(session, GOVERNOR, reversion)
    assert "SCAN memory_versions" not in plans


def tables_read_whole(session: Session, query: sa.ClauseElement) -> set[str]:
    """Return the lines of the database's plan that read a whole table."""
    compiled = query.compile(session.connection(), compile_kwargs={"literal_binds": True})
    explain = "EXPLAIN QUERY PLAN" if session.get_bind().dialect.name == "sqlite" else "EXPLAIN"
    lines = [str(row[-1]) for row in session.connection().exec_driver_sql(f"{explain} {compiled}")]
    names = ("projects", "organizations", "organization_members", "project_members", "trashed_memories", "invitations")
    whole = [f"SCAN {name}" for name in names] + [f"Seq Scan on {name}" for name in names]
    return {line for line in lines if any(f"{start} " in f"{line} " for start in whole)}
