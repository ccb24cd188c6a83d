"""Accounts: signing up, confirming the address, and leaving for good."""

import contextlib
from dataclasses import replace
from typing import Literal, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col, select

from server.database import is_sqlite
from server.domain import audit, letters, names
from server.domain.access import require_session
from server.domain.audit import Event
from server.domain.locks import lock_organization, lock_user
from server.domain.people import identities, mailed_tokens, passkeys, passwords, second_factors, sessions, users
from server.domain.people.passwords import LinkEnded
from server.domain.people.sessions import BrowserInfo, SignIn
from server.domain.teams import cascades, invitations
from server.domain.teams.cascades import DeletedCounts
from server.errors import Conflict, Forbidden, Invalid
from server.mail import Mailer
from server.models import (
    ApiKey,
    Invitation,
    MailedToken,
    Notification,
    OAuthGrant,
    Organization,
    OrganizationMember,
    Project,
    ProjectMember,
    User,
)
from server.models.base import now
from server.models.invitations import InvitationStatus
from server.models.organizations import OrganizationKind
from server.models.users import MailedPurpose
from server.principal import ExternalIdentity, Principal

SignUpPolicy = Literal["open", "invited", "closed"]


class NotInvited(Forbidden):
    sentence = "Sign-up is by invitation here: ask somebody to invite this address."


class SignUpClosed(Forbidden):
    sentence = "Sign-up is closed here: ask whoever runs this server for an account."


class AddressUnconfirmed(Forbidden):
    sentence = (
        "Your sign-in provider has not confirmed your email address. Confirm it there first, or sign in another way."
    )


class OwnsOrganization(Conflict):
    sentence = "You own an organization: transfer or delete it first."


class SignUp(NamedTuple):
    """Who wants an account."""

    email: str
    name: str
    password: str


def sign_up(session: Session, policy: SignUpPolicy, wanted: SignUp, visit: BrowserInfo, mailer: Mailer) -> str:
    """Make an account, mail a link that confirms its address, and sign in: the value of the new session.

    Raises Invalid, NotInvited, SignUpClosed, EmailTaken.
    """
    address = names.email(wanted.email)
    names.person(wanted.name)
    hashed = passwords.new_hash(session, wanted.password)
    _require_admitted(session, policy, address)
    user = users.register(session, address, wanted.name, hashed)
    send_verification(session, user, mailer)
    return sessions.begin(session, user, visit)


def send_verification(session: Session, user: User, mailer: Mailer) -> None:
    """Mail a link that confirms the address, unless it is confirmed."""
    if user.email is not None and user.email_verified_at is None:
        token = mailed_tokens.issue(session, user.id, MailedPurpose.VERIFY)
        letters.send_verification(session, mailer, user.email, token)


def is_verification_of(session: Session, token: str) -> str | None:
    """The id of the user whose address this link would confirm."""
    return mailed_tokens.owner_of(session, token, MailedPurpose.VERIFY)


def verify(session: Session, token: str) -> None:
    """Confirm an address by a mailed link. Raises LinkEnded."""
    user_id = mailed_tokens.redeem(session, token, MailedPurpose.VERIFY)
    user = session.get(User, user_id) if user_id else None
    if user is None:
        raise LinkEnded
    users.verify_email(session, user)


def sign_in_by_identity(
    session: Session, policy: SignUpPolicy, external: ExternalIdentity, browser: BrowserInfo, mailer: Mailer
) -> SignIn:
    """Sign in by an account at the identity provider. The first time, its confirmed address decides whose it is.

    Raises AddressUnconfirmed, NotInvited, SignUpClosed, Invalid, IdentityTaken.
    """
    user = identities.user_of(session, external)
    if user is None:
        user = _account_for(session, policy, external, mailer)
        identities.join(session, user, external)
    return sessions.complete_sign_in(session, user, browser)


def end_everything_unproven(session: Session, user: User) -> None:
    """End all that was made in the account before its address was proven: a stranger may have made it.

    Ends sessions, every way to sign in, API keys, grants, invitations, and memberships of others in what it owns.
    """
    is_inside = col(Project.organization_id).in_(
        sa.select(col(Organization.id)).where(col(Organization.owner_id) == user.id)
    )
    project_ids = list(session.execute(sa.select(col(Project.id)).where(is_inside)).scalars())
    owned_ids = sa.select(col(Organization.id)).where(col(Organization.owner_id) == user.id)
    sessions.end_all(session, user.id)
    passkeys.discard(session, user.id)
    identities.discard(session, user.id)
    second_factors.discard(session, user.id)
    user.password_hash = None
    session.execute(sa.delete(MailedToken).where(col(MailedToken.user_id) == user.id))
    cascades.revoke_access(session, user.id)
    session.execute(sa.delete(ApiKey).where(col(ApiKey.project_id).in_(project_ids)))
    session.execute(sa.delete(OAuthGrant).where(col(OAuthGrant.project_id).in_(project_ids)))
    session.execute(sa.delete(OrganizationMember).where(col(OrganizationMember.organization_id).in_(owned_ids)))
    others = col(ProjectMember.project_id).in_(project_ids) & (col(ProjectMember.user_id) != user.id)
    session.execute(sa.delete(ProjectMember).where(others))
    sent = (col(Invitation.invited_by) == user.id) | col(Invitation.organization_id).in_(owned_ids)
    session.execute(
        sa.update(Invitation)
        .where(sent, col(Invitation.status) == InvitationStatus.PENDING)
        .values(status=InvitationStatus.CANCELLED)
    )


def delete(session: Session, principal: Principal) -> DeletedCounts:
    """Delete one's account with its personal organization; the address is kept nowhere and free again.

    Raises OwnsOrganization.
    """
    require_session(principal)
    lock_user(session, principal.user_id)
    user = users.me(session, principal)
    places = _organizations_of(session, user.id)
    for organization_id in places:
        lock_organization(session, organization_id)
    personal = _only_personal(session, user.id)
    joined = [organization_id for organization_id in places if organization_id != personal.id]
    counts = cascades.remove_organization(session, personal)
    for organization_id in joined:
        audit.record(session, Event.MEMBER_LEFT, user.id, organization_id, user.id)
    _withdraw(session, user)
    lost = cascades.revoke_access(session, user.id)
    sessions.end_all(session, user.id)
    passkeys.discard(session, user.id)
    identities.discard(session, user.id)
    second_factors.discard(session, user.id)
    for table in (OrganizationMember, ProjectMember, Notification, MailedToken):
        session.execute(sa.delete(table).where(col(table.user_id) == user.id))
    user.email, user.name, user.password_hash, user.email_verified_at = None, "", None, None
    user.deleted_at = user.updated_at = now()
    return replace(counts, api_keys=counts.api_keys + lost.api_keys, grants=counts.grants + lost.grants)


def _account_for(session: Session, policy: SignUpPolicy, external: ExternalIdentity, mailer: Mailer) -> User:
    """Return the account of the identity's address, or make one. The provider is the proof of the address."""
    if not external.email:
        raise AddressUnconfirmed
    address = names.email(external.email)
    user = users.by_email(session, address)
    if user is None:
        _require_admitted(session, policy, address)
        user = users.register(session, address, _name_of(external), None)
    elif user.email_verified_at is None:
        lock_user(session, user.id)
        end_everything_unproven(session, user)
    else:
        letters.send_security_notice(session, mailer, user, "Your sign-in provider can now sign you in.")
    users.verify_email(session, user)
    return user


def _name_of(external: ExternalIdentity) -> str:
    with contextlib.suppress(Invalid):
        return names.person(external.name)
    return ""


def _organizations_of(session: Session, user_id: str) -> list[str]:
    """All that the user owns or belongs to, in the order in which everybody locks them."""
    owned = sa.select(col(Organization.id)).where(col(Organization.owner_id) == user_id)
    joined = sa.select(col(OrganizationMember.organization_id)).where(col(OrganizationMember.user_id) == user_id)
    return sorted(session.execute(sa.union(owned, joined)).scalars())


def _only_personal(session: Session, user_id: str) -> Organization:
    owned = session.exec(select(Organization).where(Organization.owner_id == user_id)).all()
    if any(place.kind != OrganizationKind.PERSONAL for place in owned):
        raise OwnsOrganization
    return owned[0]


def _withdraw(session: Session, user: User) -> None:
    """Invitations that this person sent end; those to this address are not for whoever may have it next."""
    theirs = (col(Invitation.invited_by) == user.id) | (col(Invitation.email) == user.email)
    session.execute(
        sa.update(Invitation)
        .where(theirs, col(Invitation.status) == InvitationStatus.PENDING)
        .values(status=InvitationStatus.CANCELLED)
    )
    session.execute(sa.update(Invitation).where(col(Invitation.email) == user.email).values(email=""))


def _require_admitted(session: Session, policy: SignUpPolicy, address: str) -> None:
    """Invited: the first account can always be made, of several at once one; then only invited addresses."""
    if policy == "open":
        return
    if policy == "closed":
        raise SignUpClosed
    if not is_sqlite(session):
        session.execute(sa.text("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE"))
    if users.has_any(session) and not invitations.pending_for(session, address):
        raise NotInvited
