"""Accounts: signing up, confirming the email address, and deleting the account."""

from dataclasses import replace
from typing import Literal, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col, select

from server.database import is_sqlite
from server.domain import audit, letters, names, sent_letters
from server.domain.access import require_session
from server.domain.audit import Event
from server.domain.constraints import EmailTaken
from server.domain.locks import lock_organization, lock_user
from server.domain.people import mailed_tokens, passwords, sessions, users
from server.domain.people.passwords import LinkEnded
from server.domain.people.sessions import BrowserInfo
from server.domain.teams import cascades, invitations
from server.domain.teams.cascades import DeletedCounts
from server.errors import Conflict, Forbidden
from server.mailer import Mailer
from server.models import (
    Invitation,
    MailedToken,
    Notification,
    Organization,
    OrganizationMember,
    ProjectMember,
    User,
)
from server.models.base import now
from server.models.invitations import InvitationStatus
from server.models.notifications import LetterKind
from server.models.organizations import OrganizationKind
from server.models.users import MailedPurpose
from server.principal import Principal

SignUpPolicy = Literal["open", "invited", "closed"]


class NotInvited(Forbidden):
    sentence = "Sign-up is by invitation only: ask a member to invite this address."


class SignUpClosed(Forbidden):
    sentence = "Sign-up is closed: ask the administrator of this server for an account."


class OwnsOrganization(Conflict):
    sentence = "You own an organization: transfer or delete it first."


class SignUp(NamedTuple):
    """The sign-up form."""

    email: str
    name: str
    password: str

    def require_valid(self) -> None:
        """Raises Invalid for a field that cannot be accepted. Needs no database and hashes nothing."""
        address = names.parse_email(self.email)
        name = names.parse_person_name(self.name)
        passwords.require_acceptable(self.password, address, name)


def sign_up(session: Session, policy: SignUpPolicy, form: SignUp, browser: BrowserInfo, mailer: Mailer) -> str:
    """Create an account, mail a link that confirms its address, and sign in. Return the new session's value.

    Raises Invalid, NotInvited, SignUpClosed, EmailTaken.
    """
    form.require_valid()
    address = names.parse_email(form.email)
    _require_admitted(session, policy, address)
    if users.by_email(session, address) is not None:
        raise EmailTaken
    password_hash = passwords.new_hash(session, form.password, address, form.name)
    _require_admitted(session, policy, address)  # again: hashing ended the transaction
    user = users.register(session, address, form.name, password_hash)
    send_verification(session, user, mailer)
    return sessions.begin(session, user, browser)


def send_verification(session: Session, user: User, mailer: Mailer) -> None:
    """Mail a link that confirms the address, unless it is confirmed already or had such a letter just now.

    Nobody asked the owner of the mailbox, so the address gets few such letters in a day.
    """
    if user.email is None or user.email_verified_at is not None or not mailer.is_on:
        return
    lock_user(session, user.id)
    if mailed_tokens.was_issued_since(session, user.id, MailedPurpose.VERIFY, now() - passwords.LETTER_EVERY):
        return
    if sent_letters.admit(session, LetterKind.VERIFICATION, user.email):
        token = mailed_tokens.issue(session, user.id, MailedPurpose.VERIFY)
        letters.send_verification(session, mailer, user.email, token)


def verification_owner(session: Session, token: str) -> str | None:
    """Return the id of the user whose address the link confirms, or None if the link is not valid."""
    return mailed_tokens.owner_of(session, token, MailedPurpose.VERIFY)


def verify(session: Session, token: str) -> None:
    """Confirm the address that the link was mailed to. Raises LinkEnded."""
    user_id = mailed_tokens.redeem(session, token, MailedPurpose.VERIFY)
    user = session.get(User, user_id) if user_id else None
    if user is None:
        raise LinkEnded
    users.verify_email(session, user)


def delete(session: Session, principal: Principal) -> DeletedCounts:
    """Delete the principal's account and its personal organization. Nothing keeps the address: it can sign up again.

    Raises OwnsOrganization, Forbidden without a session.
    """
    require_session(principal)
    lock_user(session, principal.user_id)
    user = users.me(session, principal)
    organization_ids = _organizations_of(session, user.id)
    for organization_id in organization_ids:
        lock_organization(session, organization_id)
    personal = _require_only_personal(session, user.id)
    joined = [organization_id for organization_id in organization_ids if organization_id != personal.id]
    counts = cascades.remove_organization(session, personal)
    for organization_id in joined:
        audit.record(session, Event.MEMBER_LEFT, user.id, organization_id, user.id)
    _end_invitations(session, user)
    revoked = cascades.revoke_access(session, user.id)
    sessions.end_all(session, user.id)
    for table in (OrganizationMember, ProjectMember, Notification, MailedToken):
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
    """Return the ids of all organizations that the user owns or belongs to, sorted: always lock them in this order."""
    owned = sa.select(col(Organization.id)).where(col(Organization.owner_id) == user_id)
    joined = sa.select(col(OrganizationMember.organization_id)).where(col(OrganizationMember.user_id) == user_id)
    return sorted(session.execute(sa.union(owned, joined)).scalars())


def _require_only_personal(session: Session, user_id: str) -> Organization:
    """Return the user's personal organization. Raises OwnsOrganization if the user owns another one."""
    owned = session.exec(select(Organization).where(Organization.owner_id == user_id)).all()
    if any(organization.kind != OrganizationKind.PERSONAL for organization in owned):
        raise OwnsOrganization
    return owned[0]


def _end_invitations(session: Session, user: User) -> None:
    """Cancel the invitations that the user sent or received, and erase the address from them.

    Cancelled, so that they do not work for the next person who signs up with this address.
    """
    sent_or_received = (col(Invitation.invited_by) == user.id) | (col(Invitation.email) == user.email)
    session.execute(
        sa.update(Invitation)
        .where(sent_or_received, col(Invitation.status) == InvitationStatus.PENDING)
        .values(status=InvitationStatus.CANCELLED)
    )
    session.execute(sa.update(Invitation).where(col(Invitation.email) == user.email).values(email=""))


def _require_admitted(session: Session, policy: SignUpPolicy, address: str) -> None:
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
