"""Accounts: sign-up, resetting the password, and deleting the account."""

from dataclasses import replace
from typing import Literal, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col, select

from server.domain import addresses, audit, candidates, names, notifications, retention
from server.domain.access import require_session
from server.domain.audit import Event
from server.domain.constraints import EmailTaken
from server.domain.locks import lock_organization, lock_user
from server.domain.notifications import Notice
from server.domain.people import known_browsers, passwords, sessions, users
from server.domain.people.sessions import BrowserInfo, SignIn
from server.domain.teams import cascades, invitations, organization_members, withdrawals
from server.domain.teams.cascades import DeletedCounts
from server.errors import Conflict, Forbidden
from server.mailer import Mailer
from server.models import (
    AuditEvent,
    BrowserSession,
    Identity,
    MailedToken,
    Notification,
    Organization,
    OrganizationMember,
    Passkey,
    PendingSignIn,
    ProjectMember,
    RecoveryCode,
    SavedView,
    SecondFactor,
    User,
)
from server.models.base import now
from server.models.organizations import OrganizationKind
from server.principal import Principal
from server.storage.database import is_sqlite

SignUpPolicy = Literal["open", "invited", "closed"]

_WAYS_IN = (BrowserSession, PendingSignIn, Passkey, Identity, SecondFactor, RecoveryCode, MailedToken)
"""The tables of a user's sessions, passkeys, identities, second factors and mailed links."""


class NotInvited(Forbidden):
    sentence = "Sign-up is by invitation only: ask a member to invite this address."


class SignUpClosed(Forbidden):
    sentence = "Sign-up is closed: ask the administrator of this server for an account."


class OwnsOrganization(Conflict):
    sentence = "You own an organization: transfer or delete it first."


class SignUp(NamedTuple):
    email: str
    name: str
    password: str

    def require_valid(self) -> None:
        """Raises Invalid for a field that cannot be accepted. Works without a database, and without hashing."""
        address = names.parse_email(self.email)
        name = names.parse_person_name(self.name)
        passwords.require_acceptable(self.password, address, name)


class Ended(NamedTuple):
    """How many rows were ended when someone first proved that they own the mailbox. `members` counts other people."""

    api_keys: int
    grants: int
    members: int
    invitations: int


class PasswordReset(NamedTuple):
    """The outcome of a reset. `ended` is set if the reset was the first proof of the mailbox; `memberships` then names
    other people's organizations that the account belongs to.
    """

    sign_in: SignIn
    ended: Ended | None
    memberships: list[str]


def sign_up(session: Session, policy: SignUpPolicy, form: SignUp, browser: BrowserInfo, mailer: Mailer) -> str:
    """Create an account, mail a link that confirms its address, and sign in. Return the new session's value.

    Raises Invalid, NotInvited, SignUpClosed, EmailTaken.
    """
    form.require_valid()
    address = names.parse_email(form.email)
    require_admitted(session, policy, address)
    if users.by_email(session, address) is not None:
        raise EmailTaken
    password_hash = passwords.new_hash(session, form.password, address, form.name)
    require_admitted(session, policy, address)  # check again, because hashing ended the transaction
    user = users.register(session, address, form.name, password_hash)
    addresses.send_verification(session, user, mailer)
    return sessions.begin(session, user, browser)


def reset_password(
    session: Session, token: str, new: str, browser: BrowserInfo, mailer: Mailer, *, end_access: bool
) -> PasswordReset:
    """Set a new password by a link, end all sessions, and sign in. A second factor must still be proved.

    The first proof of the mailbox ends everything that was created before. Otherwise `end_access` also ends the user's
    API keys and applications. Raises LinkEnded, Invalid (the link then still works).
    """
    user, proves_mailbox = passwords.reset(session, token, new, mailer)
    ended, memberships = None, []
    if proves_mailbox and user.email_verified_at is None:
        ended = end_everything_unproven(session, user)
        memberships = _memberships_of(session, user.id)
        users.verify_email(session, user)
    elif end_access:
        cascades.revoke_access(session, user.id)
    details = ended._asdict() if ended else {}
    audit.record_account_event(session, Event.PASSWORD_RESET, user.id, **details)
    return PasswordReset(sessions.complete_sign_in(session, user, browser), ended, memberships)


def end_everything_unproven(session: Session, user: User) -> Ended:
    """End what was created in an account before its owner proved to own the mailbox, because somebody else may have
    created it.

    That is: sessions, known browsers, second factors, passkeys, identities, unused links, API keys, grants, other
    members of the organizations and projects that the account owns, and invitations that it sent. Memories stay, and
    the caller replaces the password. Call it before `users.verify_email`.
    """
    lock_user(session, user.id)
    for organization_id in _organizations_of(session, user.id):
        lock_organization(session, organization_id)
    known_browsers.forget_all(user)
    for table in _WAYS_IN:
        session.execute(sa.delete(table).where(col(table.user_id) == user.id))
    members, inside = cascades.remove_other_people(session, user)
    elsewhere = cascades.revoke_access(session, user.id)
    for organization_id, member_id in members:
        audit.record(session, Event.MEMBER_REMOVED, user.id, organization_id, member_id, reason="first_proof")
    member_ids = {member_id for _, member_id in members}
    message = f"You no longer belong to the organizations of {user.name}, who has confirmed the email address."
    notifications.notify(session, member_ids, Notice.REMOVED, "Removed from organizations", message)
    return Ended(
        api_keys=inside.api_keys + elsewhere.api_keys,
        grants=inside.grants + elsewhere.grants,
        members=len(member_ids),
        invitations=withdrawals.cancel_of_account(session, user),
    )


def delete(session: Session, principal: Principal) -> DeletedCounts:
    """Delete the principal's account and its personal organization. The address is erased and can sign up again.

    Raises OwnsOrganization, Forbidden without a session.
    """
    require_session(principal)
    own = _require_only_personal(session, users.me(session, principal).id)
    for trail in (col(AuditEvent.organization_id) == own.id, col(AuditEvent.user_id) == principal.user_id):
        retention.shorten_trail(session, trail)
    user = users.locked_me(session, principal)
    organization_ids = _organizations_of(session, user.id)
    for organization_id in organization_ids:
        lock_organization(session, organization_id)
    personal = _require_only_personal(session, user.id)
    joined = [organization_id for organization_id in organization_ids if organization_id != personal.id]
    counts = cascades.remove_organization(session, personal)
    for organization_id in joined:
        audit.record(session, Event.MEMBER_LEFT, user.id, organization_id, user.id)
        organization_members.notify_owner(session, session.get_one(Organization, organization_id), user)
    withdrawals.cancel_of_deleted_account(session, user)
    revoked = cascades.revoke_access(session, user.id)
    for table in (*_WAYS_IN, OrganizationMember, ProjectMember, Notification, AuditEvent, SavedView):
        session.execute(sa.delete(table).where(col(table.user_id) == user.id))
    _erase_personal_data(user)
    return replace(counts, api_keys=counts.api_keys + revoked.api_keys, grants=counts.grants + revoked.grants)


def _erase_personal_data(user: User) -> None:
    user.email = None
    user.name = ""
    user.password_hash = None
    user.email_verified_at = None
    user.deleted_at = now()
    user.updated_at = user.deleted_at


def _organizations_of(session: Session, user_id: str) -> list[str]:
    """Return the sorted ids of all organizations that the user owns or belongs to. Always lock them in this order."""
    return sorted(session.scalars(candidates.organizations_of(user_id)))


def _require_only_personal(session: Session, user_id: str) -> Organization:
    """Return the user's personal organization. Raises OwnsOrganization if the user owns another one."""
    owned = session.exec(select(Organization).where(Organization.owner_id == user_id)).all()
    if any(organization.kind != OrganizationKind.PERSONAL for organization in owned):
        raise OwnsOrganization
    return owned[0]


def _memberships_of(session: Session, user_id: str) -> list[str]:
    """Return the names of the organizations that the user belongs to but does not own."""
    joined = select(Organization.name).join(OrganizationMember).where(OrganizationMember.user_id == user_id)
    return list(session.exec(joined.order_by(Organization.name_key)))


def require_admitted(session: Session, policy: SignUpPolicy, address: str) -> None:
    """Raise NotInvited or SignUpClosed unless the policy admits the address.

    `invited` admits the first account and invited addresses. On Postgres the lock decides which account is first.
    """
    if policy == "open":
        return
    if policy == "closed":
        raise SignUpClosed
    if not is_sqlite(session):
        session.execute(sa.text("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE"))
    if users.has_any(session) and not invitations.pending_for(session, address):
        raise NotInvited
