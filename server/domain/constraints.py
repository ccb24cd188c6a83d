"""Constraints decide races: from the constraint that was broken to the conflict that a caller is told about."""

import re

import sqlalchemy as sa
from sqlmodel import Session, SQLModel

from server.errors import Conflict
from server.models import metadata


class EmailTaken(Conflict):
    sentence = "There is an account with this e-mail address already."


class OrganizationNameTaken(Conflict):
    sentence = "The owner has an organization of this name already."


class ProjectNameTaken(Conflict):
    sentence = "The organization has a project of this name already."


class AlreadyMember(Conflict):
    sentence = "This person is a member already."


class InvitedJustNow(Conflict):
    sentence = "This address was invited by somebody else at the same moment."


class PasskeyTaken(Conflict):
    sentence = "This passkey was added already."


class IdentityTaken(Conflict):
    sentence = "This sign-in was used twice at the same moment. Try again."


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
}


def flush_or_conflict(session: Session, *rows: SQLModel) -> None:
    """Write these rows, and all changes so far, now. Raises the Conflict that a broken constraint stands for."""
    session.add_all(rows)
    try:
        session.flush()
    except sa.exc.IntegrityError as error:
        conflict = CONFLICTS.get(_constraint_of(error))
        if conflict is None:
            raise
        raise conflict from error


def _constraint_of(error: sa.exc.IntegrityError) -> str:
    """Postgres names the constraint; SQLite names its columns."""
    diagnosis = getattr(error.orig, "diag", None)
    if diagnosis is not None:
        return str(diagnosis.constraint_name)
    return _NAMES.get(frozenset(re.findall(r"\w+\.\w+", str(error.orig))), "")


def _names() -> dict[frozenset[str], str]:
    """The name of every unique constraint and index by its columns."""
    named: dict[frozenset[str], str] = {}
    for table in metadata.tables.values():
        unique = [one for one in table.constraints if isinstance(one, sa.UniqueConstraint | sa.PrimaryKeyConstraint)]
        for one in (*unique, *(index for index in table.indexes if index.unique)):
            named[frozenset(f"{table.name}.{column.name}" for column in one.columns)] = str(one.name)
    return named


_NAMES = _names()
