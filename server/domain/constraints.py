"""Turns a broken unique constraint, the result of a race, into a Conflict for the caller."""

import re

import sqlalchemy as sa
from sqlmodel import Session, SQLModel

from server.errors import Conflict
from server.models import metadata


class EmailTaken(Conflict):
    sentence = "An account with this email address already exists."


class OrganizationNameTaken(Conflict):
    sentence = "The owner already has an organization with this name: choose another name."


class ProjectNameTaken(Conflict):
    sentence = "The organization already has a project with this name: choose another name."


class AlreadyMember(Conflict):
    sentence = "This person is already a member."


class InvitedJustNow(Conflict):
    sentence = "Somebody else invited this address at the same time: reload to see the invitation."


class PasskeyTaken(Conflict):
    sentence = "This passkey was already added."


class IdentityTaken(Conflict):
    sentence = "This sign-in was used twice at the same moment. Try again."


class ViewNameTaken(Conflict):
    sentence = "You already have a view with this name: choose another name."


CONFLICTS: dict[str, type[Conflict]] = {
    "uq_users_email": EmailTaken,
    "uq_organizations_owner_id_name_key": OrganizationNameTaken,
    "uq_projects_organization_id_name_key": ProjectNameTaken,
    "pk_organization_members": AlreadyMember,
    "pk_project_members": AlreadyMember,
    "uq_invitations_pending_organization": InvitedJustNow,
    "uq_invitations_pending_project": InvitedJustNow,
    "uq_passkeys_credential_id": PasskeyTaken,
    "uq_identities_issuer_subject": IdentityTaken,
    "uq_saved_views_project_id_user_id_name_key": ViewNameTaken,
}


def flush_or_conflict(session: Session, *rows: SQLModel) -> None:
    """Write these rows and all pending changes.

    Raises the Conflict from CONFLICTS if a constraint is broken.
    """
    session.add_all(rows)
    try:
        session.flush()
    except sa.exc.IntegrityError as error:
        conflict = CONFLICTS.get(_constraint_of(error))
        if conflict is None:
            raise
        raise conflict from error


def _constraint_of(error: sa.exc.IntegrityError) -> str:
    """Return the constraint's name. Postgres names the constraint; SQLite names its columns."""
    diagnosis = getattr(error.orig, "diag", None)
    if diagnosis is not None:
        return str(diagnosis.constraint_name)
    return _NAME_BY_COLUMNS.get(frozenset(re.findall(r"\w+\.\w+", str(error.orig))), "")


def _names_by_columns() -> dict[frozenset[str], str]:
    """Return the names of all unique constraints and indexes, by their columns (`table.column`)."""
    names: dict[frozenset[str], str] = {}
    for table in metadata.tables.values():
        constraints = [
            item for item in table.constraints if isinstance(item, sa.UniqueConstraint | sa.PrimaryKeyConstraint)
        ]
        indexes = [index for index in table.indexes if index.unique]
        for unique in (*constraints, *indexes):
            names[frozenset(f"{table.name}.{column.name}" for column in unique.columns)] = str(unique.name)
    return names


_NAME_BY_COLUMNS = _names_by_columns()
