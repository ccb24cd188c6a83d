"""Organizations: making, seeing, handing over and deleting them."""

from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col

from server.domain import audit, names, notifications
from server.domain.access import Action, reachable_organizations, require_organization, require_session
from server.domain.audit import Event
from server.domain.constraints import flush_or_conflict
from server.domain.locks import lock_organization, lock_user
from server.domain.notifications import Notice
from server.domain.people import users
from server.domain.teams import cascades
from server.domain.teams.cascades import Cascades
from server.errors import Conflict, NotFound
from server.models import Organization, OrganizationMember, OrganizationRole
from server.models.base import now
from server.models.organizations import OrganizationKind
from server.principal import Principal


class PersonalStays(Conflict):
    sentence = "The personal organization can be neither deleted nor transferred."


class AlreadyOwner(Conflict):
    sentence = "This person owns the organization already."


class Membership(NamedTuple):
    """An organization as one person sees it."""

    organization: Organization
    role: OrganizationRole


def create(session: Session, principal: Principal, name: str) -> Organization:
    """A new organization, owned by whoever makes it. Raises Invalid, OrganizationNameTaken."""
    require_session(principal)
    lock_user(session, principal.user_id)
    users.me(session, principal)
    cleaned = names.parse_name(name)
    place = Organization(name=cleaned, name_key=names.key_of(cleaned), owner_id=principal.user_id)
    flush_or_conflict(session, place)
    audit.record(session, Event.ORGANIZATION_CREATED, principal.user_id, place.id, place.id)
    return place


def list_organizations(session: Session, principal: Principal) -> list[Membership]:
    """All that the principal belongs to, the oldest first."""
    require_session(principal)
    rows = session.execute(reachable_organizations(principal).order_by(col(Organization.id)))
    return [Membership(place, OrganizationRole(role)) for place, role in rows]


def get(session: Session, principal: Principal, organization_id: str) -> Membership:
    """Raises NotFound."""
    return Membership(*require_organization(session, principal, organization_id, Action.SEE))


def transfer(session: Session, principal: Principal, organization_id: str, new_owner_id: str) -> Organization:
    """Make a member the owner; the old owner becomes an admin.

    Raises NotFound, Forbidden, PersonalStays, AlreadyOwner, OrganizationNameTaken (by another of the new owner's).
    """
    lock_organization(session, organization_id)
    place, _ = require_organization(session, principal, organization_id, Action.OWN)
    if place.kind == OrganizationKind.PERSONAL:
        raise PersonalStays
    if new_owner_id == place.owner_id:
        raise AlreadyOwner
    heir = session.get(OrganizationMember, (organization_id, new_owner_id))
    if heir is None:
        raise NotFound("Member not found.")
    session.delete(heir)
    place.owner_id, place.owner_since, place.updated_at = new_owner_id, now(), now()
    flush_or_conflict(
        session,
        OrganizationMember(organization_id=place.id, user_id=principal.user_id, role=OrganizationRole.ADMIN),
    )
    audit.record(session, Event.OWNERSHIP_TRANSFERRED, principal.user_id, place.id, new_owner_id)
    message = f"You own {place.name} now."
    told = {"organization_id": place.id}
    notifications.notify(
        session, [new_owner_id], Notice.OWNERSHIP_TRANSFERRED, "You are the owner now", message, **told
    )
    return place


def delete(session: Session, principal: Principal, organization_id: str) -> Cascades:
    """Delete an organization with all below it. Raises NotFound, Forbidden, PersonalStays."""
    lock_organization(session, organization_id)
    place, _ = require_organization(session, principal, organization_id, Action.OWN)
    if place.kind == OrganizationKind.PERSONAL:
        raise PersonalStays
    members = sa.select(col(OrganizationMember.user_id)).where(col(OrganizationMember.organization_id) == place.id)
    gone = list(session.execute(members).scalars())
    counts = cascades.remove_organization(session, place)
    # Its own trail goes with it, so whoever deleted it finds the event among their own.
    audit.record_account_event(session, Event.ORGANIZATION_DELETED, principal.user_id, organization_id)
    message = f"{place.name} was deleted by its owner, with all its projects."
    notifications.notify(session, gone, Notice.REMOVED, f"{place.name} is gone", message)
    return counts
