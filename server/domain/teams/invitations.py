"""Invitations by email address: sending, listing and canceling them.

A newer invitation to the same address replaces the older one.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col, select

from server.domain import audit, names
from server.domain.access import (
    ORGANIZATION_ACTIONS,
    PROJECT_ACTIONS,
    Action,
    require_organization,
    require_project,
    require_project_role,
    role_in,
)
from server.domain.audit import Event
from server.domain.constraints import AlreadyMember, flush_or_conflict
from server.domain.letters import Unmailed, send_invitation
from server.domain.locks import lock_organization, lock_organization_of
from server.domain.people import users
from server.domain.teams.organization_members import require_assignable
from server.errors import Forbidden, NotFound
from server.hashing import INVITATION_PREFIX, new_token, token_hash
from server.mailer import Mailer
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
    """A project that an invitation includes, with the role in it."""

    project: Project
    role: ProjectRole


class NewInvitation(NamedTuple):
    """An invitation that was just created. Only its hash is stored, so `token` cannot be shown again.

    `token` is for the inviter; the letter has a different one. `role` is the role in the project for an invitation to
    one project. `mail` is the id of the queued letter, or why it was not queued.
    """

    invitation: Invitation
    token: str
    role: str
    assignments: list[Assignment]
    mail: str | Unmailed


class PendingInvitation(NamedTuple):
    """A pending invitation; `role` is the role in the project for an invitation to one project."""

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
    """Invite an address to an organization and to some of its projects, given as roles by project id.

    Raises Invalid, NotFound (also for a project of another organization), Forbidden, AlreadyMember.
    """
    require_assignable(role)
    lock_organization(session, organization_id)
    organization, _ = require_organization(session, principal, organization_id, Action.MANAGE_MEMBERS)
    address = names.parse_email(email)
    user = users.by_email(session, address)
    if user is not None and is_member(session, organization, user.id):
        raise AlreadyMember
    inside = select(Project).where(Project.organization_id == organization.id, col(Project.id).in_(projects))
    assignments = [Assignment(project, projects[project.id]) for project in session.exec(inside.order_by(Project.id))]
    if len(assignments) < len(projects):
        raise NotFound("Project not found.")
    invitation = _new_invitation(organization, None, address, role, principal)
    return _send(session, invitation, organization, user, assignments, mailer)


def invite_to_project(
    session: Session, principal: Principal, project_id: str, email: str, role: ProjectRole, mailer: Mailer
) -> NewInvitation:
    """Invite an address to one project. Accepting it also makes the person a member of the organization.

    Raises Invalid, NotFound, Forbidden, AlreadyMember.
    """
    lock_organization_of(session, project_id)
    project = require_project(session, principal, project_id, Action.MANAGE_MEMBERS)
    organization = session.get_one(Organization, project.organization_id)
    address = names.parse_email(email)
    user = users.by_email(session, address)
    if user is not None and role_in(session, user.id, project.id) is not None:
        raise AlreadyMember
    invitation = _new_invitation(organization, project, address, OrganizationRole.MEMBER, principal)
    return _send(session, invitation, organization, user, [Assignment(project, role)], mailer)


def cancel(session: Session, principal: Principal, organization_id: str, invitation_id: str) -> Invitation:
    """Cancel a pending invitation. Everybody who may send it may cancel it. Raises NotFound, Forbidden."""
    lock_organization(session, organization_id)
    query = select(Invitation).where(Invitation.id == invitation_id, Invitation.organization_id == organization_id)
    invitation = session.exec(query).one_or_none()
    if invitation is None or not _may_send(session, principal, invitation):
        require_organization(session, principal, organization_id, Action.MANAGE_MEMBERS)
    if invitation is None or invitation.status != InvitationStatus.PENDING:
        raise NotFound("Invitation not found.")
    invitation.status = InvitationStatus.CANCELLED
    audit.record(session, Event.INVITATION_CANCELLED, principal.user_id, organization_id, invitation.id)
    return invitation


def list_pending(session: Session, principal: Principal, organization_id: str) -> list[PendingInvitation]:
    """Return the pending invitations to an organization, newest first.

    The list is empty for a person who may not invite there. Raises NotFound.
    """
    _, role = require_organization(session, principal, organization_id, Action.SEE)
    if Action.MANAGE_MEMBERS not in ORGANIZATION_ACTIONS[role]:
        return []
    return _list_pending_where(session, Invitation.organization_id == organization_id)


def list_pending_for_project(session: Session, principal: Principal, project_id: str) -> list[PendingInvitation]:
    """Like `list_pending`, for one project. The list is empty for a key or token."""
    project, role = require_project_role(session, principal, project_id, Action.SEE)
    if not principal.is_session or Action.MANAGE_MEMBERS not in PROJECT_ACTIONS[role]:
        return []
    return _list_pending_where(session, Invitation.project_id == project.id)


def is_member(session: Session, organization: Organization, user_id: str) -> bool:
    """Return whether the user is the organization's owner or a member."""
    return user_id == organization.owner_id or session.get(OrganizationMember, (organization.id, user_id)) is not None


def pending_for(session: Session, address: str) -> list[Invitation]:
    """Return the invitations to this normalized address that can be answered, oldest first."""
    query = select(Invitation).where(Invitation.email == address, *_waiting())
    return _answerable(session, session.exec(query.order_by(Invitation.id)).all())


def how_ended(session: Session, invitation: Invitation) -> str | None:
    """Return why the invitation cannot be answered, as the end of a sentence; None while it can."""
    if invitation.status == InvitationStatus.CANCELLED:
        return "was canceled, or replaced by a newer one: open the newest link, or ask for another"
    if invitation.status != InvitationStatus.PENDING:
        return f"was already {invitation.status}"
    if invitation.expires_at <= now():
        return "has expired"
    if not _may_send(session, Principal(invitation.invited_by, CredentialKind.SESSION, ""), invitation):
        return "has ended: its sender is no longer allowed to invite people"
    return None


def _waiting() -> list[sa.ColumnElement[bool]]:
    """Match invitations that can still be answered. Expired ones are kept for months."""
    return [col(Invitation.status) == InvitationStatus.PENDING, col(Invitation.expires_at) > now()]


def _answerable(session: Session, invitations: Sequence[Invitation]) -> list[Invitation]:
    """Return the invitations that can be answered.

    Checks the inviter once per inviter, organization and project, because each check is a query.
    """
    samples = {_scope_of(invitation): invitation for invitation in invitations}
    answerable = {scope for scope, invitation in samples.items() if how_ended(session, invitation) is None}
    return [invitation for invitation in invitations if _scope_of(invitation) in answerable]


def _scope_of(invitation: Invitation) -> tuple[str, str, str | None]:
    return invitation.invited_by, invitation.organization_id, invitation.project_id


def _may_send(session: Session, principal: Principal, invitation: Invitation) -> bool:
    """Return whether the principal would be allowed to send this invitation now."""
    try:
        if invitation.project_id is not None:
            require_project(session, principal, invitation.project_id, Action.MANAGE_MEMBERS)
        else:
            require_organization(session, principal, invitation.organization_id, Action.MANAGE_MEMBERS)
    except (NotFound, Forbidden):
        return False
    return True


def _list_pending_where(session: Session, condition: bool) -> list[PendingInvitation]:
    query = select(Invitation).where(condition, *_waiting())
    pending = _answerable(session, session.exec(query.order_by(col(Invitation.id).desc())).all())
    assignments: dict[str, list[Assignment]] = {invitation.id: [] for invitation in pending}
    included = select(InvitationProject, Project).join(Project)
    included = included.where(col(InvitationProject.invitation_id).in_(assignments))
    for row, project in session.exec(included.order_by(Project.id)):
        assignments[row.invitation_id].append(Assignment(project, ProjectRole(row.role)))
    return [
        PendingInvitation(invitation, _offered_role(invitation, assignments[invitation.id]), assignments[invitation.id])
        for invitation in pending
    ]


def _offered_role(invitation: Invitation, assignments: list[Assignment]) -> str:
    return assignments[0].role if invitation.project_id is not None else invitation.role


def _new_invitation(
    organization: Organization, project: Project | None, address: str, role: OrganizationRole, principal: Principal
) -> Invitation:
    """Return an invitation without its token, which the caller sets."""
    return Invitation(
        organization_id=organization.id,
        project_id=project.id if project else None,
        email=address,
        role=role,
        token_hash="",
        invited_by=principal.user_id,
        expires_at=now() + LIFETIME,
    )


def _send(
    session: Session,
    invitation: Invitation,
    organization: Organization,
    user: User | None,
    assignments: list[Assignment],
    mailer: Mailer,
) -> NewInvitation:
    """Replace an older invitation to the address, notify the account if there is one, and queue the letter.

    The letter's token is not shown anywhere else, so it proves that its user can read the mailbox.
    """
    role, token = _offered_role(invitation, assignments), new_token(INVITATION_PREFIX)
    invitation.token_hash = token_hash(token)
    _cancel_older(session, invitation)
    flush_or_conflict(session, invitation)
    for project, project_role in assignments:
        session.add(InvitationProject(invitation_id=invitation.id, project_id=project.id, role=project_role))
    if user is not None and user.email_verified_at is not None:
        users.notify_invited(session, user, invitation, organization.name)
    details = {"role": role, "projects": [project.id for project, _ in assignments]}
    audit.record(session, Event.INVITATION_SENT, invitation.invited_by, organization.id, invitation.id, **details)
    mailed_token = new_token(INVITATION_PREFIX)
    mail = send_invitation(session, mailer, invitation, organization, role, mailed_token)
    invitation.mailed_token_hash = token_hash(mailed_token) if isinstance(mail, str) else None
    return NewInvitation(invitation, token, role, assignments, mail)


def _cancel_older(session: Session, invitation: Invitation) -> None:
    older = sa.update(Invitation).where(
        col(Invitation.organization_id) == invitation.organization_id,
        col(Invitation.project_id).is_not_distinct_from(invitation.project_id),
        col(Invitation.email) == invitation.email,
        col(Invitation.status) == InvitationStatus.PENDING,
    )
    session.execute(older.values(status=InvitationStatus.CANCELLED))
