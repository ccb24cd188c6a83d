"""Invitations by e-mail address: making and cancelling them. A newer one to the same address replaces the older."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col, select

from server.domain import audit, letters, names
from server.domain.access import (
    ORGANIZATION_ACTIONS,
    PROJECT_ACTIONS,
    Action,
    project_role_of,
    require_organization,
    require_project,
    require_project_role,
)
from server.domain.audit import Event
from server.domain.constraints import AlreadyMember, flush_or_conflict
from server.domain.locks import lock_organization, lock_organization_of
from server.domain.people import users
from server.errors import Forbidden, NotFound
from server.hashing import INVITATION_PREFIX, new_token, token_hash
from server.mail import Mailer
from server.models import (
    Invitation,
    InvitationProject,
    Organization,
    OrganizationMember,
    OrganizationRole,
    Project,
    ProjectRole,
    User,
)
from server.models.base import now
from server.models.invitations import InvitationStatus
from server.principal import CredentialKind, Principal

LIFETIME = timedelta(days=7)


class Assignment(NamedTuple):
    """A project that an invitation brings."""

    project: Project
    role: ProjectRole


class NewInvitation(NamedTuple):
    """What was made: the token is known now and never again; `mail_id` is the promised letter, if mail is sent here."""

    invitation: Invitation
    token: str
    role: str
    assignments: list[Assignment]
    mail_id: str | None


class PendingInvitation(NamedTuple):
    """A pending invitation; `role` is the project's where it invites to one project."""

    invitation: Invitation
    role: str
    assignments: list[Assignment]


def invite(
    session: Session,
    principal: Principal,
    organization_id: str,
    email: str,
    role: OrganizationRole,
    projects: Mapping[str, ProjectRole],
    mailer: Mailer,
) -> NewInvitation:
    """Invite an address to an organization, and to some of its projects with a role in each.

    Raises Invalid, NotFound (also for a project of another organization), Forbidden, AlreadyMember.
    """
    lock_organization(session, organization_id)
    place, _ = require_organization(session, principal, organization_id, Action.MANAGE_MEMBERS)
    address = names.parse_email(email)
    user = users.by_email(session, address)
    if user is not None and is_member(session, place, user.id):
        raise AlreadyMember
    inside = select(Project).where(Project.organization_id == place.id, col(Project.id).in_(projects))
    assignments = [Assignment(project, projects[project.id]) for project in session.exec(inside.order_by(Project.id))]
    if len(assignments) < len(projects):
        raise NotFound("Project not found.")
    new = _new(place, None, address, role, principal)
    return _send(session, new, place, user, role, assignments, mailer)


def invite_to_project(
    session: Session, principal: Principal, project_id: str, email: str, role: ProjectRole, mailer: Mailer
) -> NewInvitation:
    """Invite an address to one project; accepting makes a stranger a member of its organization.

    Raises Invalid, NotFound, Forbidden, AlreadyMember.
    """
    lock_organization_of(session, project_id)
    project = require_project(session, principal, project_id, Action.MANAGE_MEMBERS)
    place = session.get_one(Organization, project.organization_id)
    address = names.parse_email(email)
    user = users.by_email(session, address)
    if user is not None and _role_in(session, project, user) is not None:
        raise AlreadyMember
    new = _new(place, project, address, OrganizationRole.MEMBER, principal)
    return _send(session, new, place, user, role, [Assignment(project, role)], mailer)


def cancel(session: Session, principal: Principal, organization_id: str, invitation_id: str) -> Invitation:
    """End a pending invitation. Raises NotFound, Forbidden."""
    lock_organization(session, organization_id)
    place, _ = require_organization(session, principal, organization_id, Action.MANAGE_MEMBERS)
    found = session.exec(
        select(Invitation).where(Invitation.id == invitation_id, Invitation.organization_id == place.id)
    ).one_or_none()
    if found is None or found.status != InvitationStatus.PENDING:
        raise NotFound("Invitation not found.")
    found.status = InvitationStatus.CANCELLED
    audit.record(session, Event.INVITATION_CANCELLED, principal.user_id, place.id, found.id)
    return found


def list_pending(session: Session, principal: Principal, organization_id: str) -> list[PendingInvitation]:
    """What waits in an organization, the newest first; nothing for who may not invite there. Raises NotFound."""
    _, role = require_organization(session, principal, organization_id, Action.SEE)
    if Action.MANAGE_MEMBERS not in ORGANIZATION_ACTIONS[role]:
        return []
    return _waiting(session, Invitation.organization_id == organization_id)


def list_pending_for_project(session: Session, principal: Principal, project_id: str) -> list[PendingInvitation]:
    """As `list_waiting`, for one project; nothing for a key or token."""
    project, role = require_project_role(session, principal, project_id, Action.SEE)
    if not principal.is_session or Action.MANAGE_MEMBERS not in PROJECT_ACTIONS[role]:
        return []
    return _waiting(session, Invitation.project_id == project.id)


def is_member(session: Session, place: Organization, user_id: str) -> bool:
    """Whether the person is the organization's owner or member."""
    return user_id == place.owner_id or session.get(OrganizationMember, (place.id, user_id)) is not None


def pending_for(session: Session, address: str) -> list[Invitation]:
    """Those to this normalised address that may be answered, the oldest first."""
    waiting = select(Invitation).where(Invitation.email == address, Invitation.status == InvitationStatus.PENDING)
    return _still_open(session, session.exec(waiting.order_by(Invitation.id)).all())


def _still_open(session: Session, invitations: Sequence[Invitation]) -> list[Invitation]:
    """Those that may be answered; of each inviter to one place one is asked about, the others end as it does."""
    live = [one for one in invitations if one.expires_at > now()]
    alike = {(one.invited_by, one.organization_id, one.project_id): one for one in live}
    open_ = {place for place, one in alike.items() if how_ended(session, one) is None}
    return [one for one in live if (one.invited_by, one.organization_id, one.project_id) in open_]


def how_ended(session: Session, invitation: Invitation) -> str | None:
    """Why it counts no more, in words; None while it may be answered."""
    if invitation.status != InvitationStatus.PENDING:
        return f"was {invitation.status} already"
    if invitation.expires_at <= now():
        return "has expired"
    return None if _inviter_may(session, invitation) else "has ended: whoever sent it may not invite any more"


def _inviter_may(session: Session, invitation: Invitation) -> bool:
    """Whether the inviter still has the right to invite, as if asking now."""
    inviter = Principal(invitation.invited_by, CredentialKind.SESSION, "")
    try:
        if invitation.project_id is not None:
            require_project(session, inviter, invitation.project_id, Action.MANAGE_MEMBERS)
        else:
            require_organization(session, inviter, invitation.organization_id, Action.MANAGE_MEMBERS)
    except (NotFound, Forbidden):
        return False
    return True


def _waiting(session: Session, condition: bool) -> list[PendingInvitation]:
    pending = select(Invitation).where(condition, Invitation.status == InvitationStatus.PENDING)
    rows = _still_open(session, session.exec(pending.order_by(col(Invitation.id).desc())).all())
    brings: dict[str, list[Assignment]] = {row.id: [] for row in rows}
    named = select(InvitationProject, Project).join(Project).where(col(InvitationProject.invitation_id).in_(brings))
    for one, project in session.exec(named.order_by(Project.id)):
        brings[one.invitation_id].append(Assignment(project, ProjectRole(one.role)))
    return [PendingInvitation(row, _offered_role(row, brings[row.id]), brings[row.id]) for row in rows]


def _offered_role(invitation: Invitation, brings: list[Assignment]) -> str:
    return brings[0].role if invitation.project_id is not None else invitation.role


def _new(
    place: Organization, project: Project | None, address: str, role: OrganizationRole, principal: Principal
) -> Invitation:
    return Invitation(
        organization_id=place.id,
        project_id=project.id if project else None,
        email=address,
        role=role,
        token_hash="",
        invited_by=principal.user_id,
        expires_at=now() + LIFETIME,
    )


def _send(
    session: Session,
    new: Invitation,
    place: Organization,
    user: User | None,
    role: str,
    assignments: list[Assignment],
    mailer: Mailer,
) -> NewInvitation:
    """Put the invitation in the place of an older one, tell the account if there is one, promise the letter."""
    token = new_token(INVITATION_PREFIX)
    new.token_hash = token_hash(token)
    _replace(session, new)
    flush_or_conflict(session, new)
    for project, project_role in assignments:
        session.add(InvitationProject(invitation_id=new.id, project_id=project.id, role=project_role))
    if user is not None and user.email_verified_at is not None:
        users.notify_invited(session, user, new, place.name)
    brings = [project.id for project, _ in assignments]
    audit.record(session, Event.INVITATION_SENT, new.invited_by, place.id, new.id, role=role, projects=brings)
    inviter = session.get_one(User, new.invited_by)
    mail_id = letters.send_invitation(session, mailer, new.email, inviter.email or "", place.name, role, token)
    return NewInvitation(new, token, role, assignments, mail_id)


def _replace(session: Session, new: Invitation) -> None:
    older = sa.update(Invitation).where(
        col(Invitation.organization_id) == new.organization_id,
        col(Invitation.project_id).is_not_distinct_from(new.project_id),
        col(Invitation.email) == new.email,
        col(Invitation.status) == InvitationStatus.PENDING,
    )
    session.execute(older.values(status=InvitationStatus.CANCELLED))


def _role_in(session: Session, project: Project, user: User) -> str | None:
    query = sa.select(project_role_of(user.id)).select_from(Project).join(Organization)
    role: str | None = session.execute(query.where(col(Project.id) == project.id)).scalar_one()
    return role
