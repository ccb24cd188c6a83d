"""Organizations: creating, reading, transferring and deleting them."""

from typing import NamedTuple

from sqlmodel import Session, col

from server.domain import audit, names, notifications, retention
from server.domain.access import Action, reachable_organizations, require_organization, require_session
from server.domain.audit import Event
from server.domain.constraints import flush_or_conflict
from server.domain.locks import lock_organization
from server.domain.notifications import Notice
from server.domain.people import users
from server.domain.teams import cascades
from server.domain.teams.cascades import DeletedCounts
from server.errors import Conflict, NotFound
from server.models import AuditEvent, Organization, OrganizationMember, OrganizationRole
from server.models.base import now
from server.models.organizations import OrganizationKind
from server.principal import Principal


class PersonalStays(Conflict):
    sentence = "A personal organization cannot be transferred or deleted."


class AlreadyOwner(Conflict):
    sentence = "This person already owns the organization."


class Membership(NamedTuple):
    organization: Organization
    role: OrganizationRole


def create(session: Session, principal: Principal, name: str) -> Organization:
    """Create an organization that the principal owns. Raises Invalid, OrganizationNameTaken."""
    users.locked_me(session, principal)
    cleaned = names.parse_name(name)
    organization = Organization(name=cleaned, name_key=names.key_of(cleaned), owner_id=principal.user_id)
    flush_or_conflict(session, organization)
    audit.record(session, Event.ORGANIZATION_CREATED, principal.user_id, organization.id, organization.id)
    return organization


def list_organizations(session: Session, principal: Principal) -> list[Membership]:
    """Return the organizations that the principal belongs to, oldest first. Raises Forbidden for a key or token."""
    require_session(principal)
    rows = session.execute(reachable_organizations(principal).order_by(col(Organization.id)))
    return [Membership(organization, OrganizationRole(role)) for organization, role in rows]


def get(session: Session, principal: Principal, organization_id: str) -> Membership:
    """Raises NotFound."""
    return Membership(*require_organization(session, principal, organization_id, Action.SEE))


def rename(session: Session, principal: Principal, organization_id: str, name: str) -> Membership:
    """Rename the organization. Raises Invalid, NotFound, Forbidden, OrganizationNameTaken."""
    lock_organization(session, organization_id)
    organization, role = require_organization(session, principal, organization_id, Action.RENAME)
    if names.rename(organization, name):
        flush_or_conflict(session, organization)
        audit.record(session, Event.ORGANIZATION_RENAMED, principal.user_id, organization.id, organization.id)
    return Membership(organization, role)


def transfer(session: Session, principal: Principal, organization_id: str, new_owner_id: str) -> Organization:
    """Make a member the owner; the old owner becomes an admin.

    Raises NotFound, Forbidden, PersonalStays, AlreadyOwner, OrganizationNameTaken when the new owner has an
    organization of the same name.
    """
    lock_organization(session, organization_id)
    organization = _require_own_custom(session, principal, organization_id)
    if new_owner_id == organization.owner_id:
        raise AlreadyOwner
    membership = session.get(OrganizationMember, (organization_id, new_owner_id))
    if membership is None:
        raise NotFound("Member not found.")
    session.delete(membership)
    old_owner = OrganizationMember(
        organization_id=organization.id,
        user_id=principal.user_id,
        role=OrganizationRole.ADMIN,
        joined_at=organization.owner_since,
    )
    organization.owner_id, organization.owner_since = new_owner_id, membership.joined_at
    organization.updated_at = now()
    flush_or_conflict(session, old_owner)
    audit.record(session, Event.OWNERSHIP_TRANSFERRED, principal.user_id, organization.id, new_owner_id)
    notifications.notify(
        session, [new_owner_id], Notice.OWNERSHIP_TRANSFERRED, "You are now the owner",
        f"You now own the organization “{organization.name}”.", organization_id=organization.id,
        actor_id=principal.user_id,
    )  # fmt: skip
    return organization


def delete(session: Session, principal: Principal, organization_id: str) -> DeletedCounts:
    """Delete an organization with everything in it. Raises NotFound, Forbidden, PersonalStays."""
    _require_own_custom(session, principal, organization_id)
    retention.shorten_trail(session, col(AuditEvent.organization_id) == organization_id)
    lock_organization(session, organization_id)
    organization = _require_own_custom(session, principal, organization_id)
    counts = cascades.remove_organization(session, organization)
    # The organization's audit trail is deleted with it, so the event goes to the owner's trail.
    audit.record_account_event(session, Event.ORGANIZATION_DELETED, principal.user_id, organization_id)
    return counts


def _require_own_custom(session: Session, principal: Principal, organization_id: str) -> Organization:
    """Return an organization that the principal owns. Raises NotFound, Forbidden, PersonalStays."""
    organization, _ = require_organization(session, principal, organization_id, Action.OWN)
    if organization.kind == OrganizationKind.PERSONAL:
        raise PersonalStays
    return organization
