"""Passkeys (Web Authentication): adding one to an account, and signing in with one.

A passkey proves a device and its user at once (user verification is required), so it counts as both factors.
"""

import secrets
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
import webauthn
from cbor2 import CBORError
from cryptography.exceptions import UnsupportedAlgorithm
from sqlmodel import Session, col, select
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, parse_authentication_credential_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from server.domain import audit, letters, names
from server.domain.access import require_session
from server.domain.audit import Event
from server.domain.constraints import flush_or_conflict
from server.domain.people import sessions, users
from server.domain.people.sessions import BrowserInfo, SignIn
from server.errors import Conflict, Invalid, NotFound, Unauthenticated
from server.hashing import token_hash
from server.mailer import Mailer
from server.models import Identity, Passkey, UsedChallenge, User
from server.models.base import now
from server.principal import Principal

MOST = 20
"""Maximum number of passkeys per account."""

LONGEST_ID_BYTES = 1023
"""The longest id of a passkey (Web Authentication section 7.1). An index of Postgres cannot hold much longer ones."""

CHALLENGE_SECONDS = 600
CHALLENGE_BYTES = 32

PROOF, CREATION = "", "webauthn.create"
"""The ceremonies. A form that adds a passkey may need a proof by another one, and both answer the page's challenge. The
library checks that the answer of one is none of the other.
"""

FORGED = (
    WebAuthnException,
    CBORError,
    UnsupportedAlgorithm,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""The errors that the library raises for an invalid credential, including Python's own errors from its parsers."""


class PasskeyRefused(Unauthenticated):
    """The message is the same for every reason, so that it reveals nothing about an account."""

    sentence = "This passkey did not work here. Try again, or sign in another way."
    reason = "passkey"


class PasskeyUnusable(Invalid):
    sentence = "The passkey could not be added. Try again."


class TooManyPasskeys(Conflict):
    sentence = f"An account can have at most {MOST} passkeys. Delete one first."


class OnlyWayIn(Conflict):
    sentence = "This passkey is the only way to sign in to your account. Set a password first."


class RelyingParty(NamedTuple):
    """This server in the terms of Web Authentication: passkeys are bound to `host`, and used on pages of `origin`."""

    host: str
    origin: str


class Challenge(NamedTuple):
    """Random bytes that a passkey signs once. The browser keeps them sealed, so that strangers cannot fill a table."""

    value: bytes
    expires_at: datetime


class Answer(NamedTuple):
    """A passkey's verified answer to a challenge."""

    passkey_id: str
    sign_count: int
    challenge: Challenge


def new_challenge() -> Challenge:
    return Challenge(secrets.token_bytes(CHALLENGE_BYTES), now() + timedelta(seconds=CHALLENGE_SECONDS))


def sign_in_options(party: RelyingParty, challenge: Challenge) -> str:
    """Return the JSON that a browser needs to ask for any passkey of this server."""
    options = webauthn.generate_authentication_options(
        rp_id=party.host, challenge=challenge.value, user_verification=UserVerificationRequirement.REQUIRED
    )
    return webauthn.options_to_json(options)


def creation_options(session: Session, principal: Principal, party: RelyingParty, challenge: Challenge) -> str:
    """Return the JSON that a browser needs to create a passkey for the principal."""
    user = users.me(session, principal)
    existing = [PublicKeyCredentialDescriptor(base64url_to_bytes(one.credential_id)) for one in _of(session, user.id)]
    options = webauthn.generate_registration_options(
        rp_id=party.host,
        rp_name="SelfMemory",
        user_id=user.id.encode(),
        user_name=user.email or user.id,
        user_display_name=user.name or user.email or user.id,
        challenge=challenge.value,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=existing,
    )
    return webauthn.options_to_json(options)


def list_own(session: Session, principal: Principal) -> list[Passkey]:
    """Return the principal's passkeys, newest first. Raises Forbidden for a key or token."""
    require_session(principal)
    return _of(session, principal.user_id)


def add(
    session: Session,
    principal: Principal,
    name: str,
    credential: str,
    challenge: Challenge,
    party: RelyingParty,
    mailer: Mailer,
) -> Passkey:
    """Add a passkey that the principal's browser created. Raises Invalid, PasskeyUnusable, TooManyPasskeys."""
    user = users.locked_me(session, principal)
    label = names.parse_person_name(name)
    if not label:
        raise Invalid("enter a name, such as the name of the device.", field="name")
    if len(_of(session, user.id)) >= MOST:
        raise TooManyPasskeys
    try:
        verified = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=challenge.value,
            expected_rp_id=party.host,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    except FORGED as error:
        raise PasskeyUnusable from error
    if len(verified.credential_id) > LONGEST_ID_BYTES:
        raise PasskeyUnusable
    _use_up(session, CREATION, challenge, PasskeyUnusable())
    passkey = Passkey(
        user_id=user.id,
        name=label,
        credential_id=bytes_to_base64url(verified.credential_id),
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
    )
    flush_or_conflict(session, passkey)
    audit.record_account_event(session, Event.PASSKEY_ADDED, user.id, passkey.id)
    letters.send_security_notice(session, mailer, user, "A passkey was added. It can sign in without your password.")
    return passkey


def remove(session: Session, principal: Principal, passkey_id: str, mailer: Mailer) -> None:
    """Delete one of the principal's passkeys. Raises NotFound, OnlyWayIn."""
    user = users.locked_me(session, principal)
    passkeys = _of(session, user.id)
    passkey = next((one for one in passkeys if one.id == passkey_id), None)
    if passkey is None:
        raise NotFound("Passkey not found.")
    identity = select(Identity.id).where(Identity.user_id == user.id).limit(1)
    if len(passkeys) == 1 and user.password_hash is None and session.exec(identity).first() is None:
        raise OnlyWayIn
    session.delete(passkey)
    audit.record_account_event(session, Event.PASSKEY_REMOVED, user.id, passkey_id)
    letters.send_security_notice(session, mailer, user, "A passkey was deleted.")


def verify(session: Session, credential: str, challenge: Challenge, party: RelyingParty) -> Answer:
    """Check a passkey's answer to the challenge. This only reads, so that guesses cannot keep the database busy.

    Raises PasskeyRefused.
    """
    try:
        parsed = parse_authentication_credential_json(credential)
    except FORGED as error:
        raise PasskeyRefused from error
    credential_id = bytes_to_base64url(parsed.raw_id)  # `id` is the same text, or the verification fails
    passkey = session.exec(select(Passkey).where(Passkey.credential_id == credential_id)).one_or_none()
    if passkey is None or parsed.response.user_handle not in (None, passkey.user_id.encode()):
        raise PasskeyRefused
    return Answer(passkey.id, _verified_count(passkey, parsed, challenge, party), challenge)


def sign_in(session: Session, answer: Answer, browser: BrowserInfo) -> SignIn:
    """Use up the challenge and sign in, without a second step. Raises PasskeyRefused."""
    passkey = use(session, answer)
    user = session.get_one(User, passkey.user_id)
    return sessions.complete_sign_in(session, user, browser, proved_both_factors=True)


def use(session: Session, answer: Answer) -> Passkey:
    """Use up the challenge and return the passkey that answered it. Raises PasskeyRefused."""
    passkey = session.get(Passkey, answer.passkey_id, populate_existing=True, with_for_update=True)
    if passkey is None or _is_behind(passkey, answer.sign_count):
        raise PasskeyRefused
    _use_up(session, PROOF, answer.challenge, PasskeyRefused())
    passkey.sign_count = answer.sign_count
    passkey.last_used_at = now()
    return passkey


def _verified_count(
    passkey: Passkey, credential: AuthenticationCredential, challenge: Challenge, party: RelyingParty
) -> int:
    """Return the sign count of a valid answer. Raises PasskeyRefused."""
    try:
        verified = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=challenge.value,
            expected_rp_id=party.host,
            expected_origin=party.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
    except FORGED as error:
        raise PasskeyRefused from error
    return verified.new_sign_count


def is_used(session: Session, challenge: Challenge) -> bool:
    """Return whether a passkey has answered the challenge as a proof."""
    return session.get(UsedChallenge, _hash_of(PROOF, challenge)) is not None


def _use_up(session: Session, ceremony: str, challenge: Challenge, refused: Invalid | Unauthenticated) -> None:
    """Store the challenge until it expires, so that its answer works once in this ceremony. Raises `refused` the second
    time.
    """
    if challenge.expires_at <= now():
        raise refused
    used = UsedChallenge(challenge_hash=_hash_of(ceremony, challenge), expires_at=challenge.expires_at)
    try:
        session.add(used)
        session.flush()
    except sa.exc.IntegrityError as error:
        raise refused from error


def _hash_of(ceremony: str, challenge: Challenge) -> str:
    return token_hash(ceremony + challenge.value.hex())


def _is_behind(passkey: Passkey, sign_count: int) -> bool:
    """Return whether the count did not grow, which suggests a copied key."""
    return (sign_count > 0 or passkey.sign_count > 0) and sign_count <= passkey.sign_count


def _of(session: Session, user_id: str) -> list[Passkey]:
    query = select(Passkey).where(Passkey.user_id == user_id).order_by(col(Passkey.id).desc())
    return list(session.exec(query))
