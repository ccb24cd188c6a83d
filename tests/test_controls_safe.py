"""Can the tests fail? Rules outside OAuth are switched off in turn, and the test that stands for each must notice."""

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
import webauthn
from authlib.oidc.core import CodeIDToken
from cryptography.fernet import Fernet
from limits.strategies import MovingWindowRateLimiter
from sqlmodel import Session, select
from starlette.requests import Request

from server import hashing
from server.adapters import limits, mail, oidc
from server.adapters.limits import Limits, Rule
from server.dashboard.cookies import unsealed
from server.dashboard.sign_in_ways import CHALLENGE_COOKIE
from server.dashboard.views import passkeys as passkeys_view
from server.dashboard.views import provider as provider_view
from server.domain import accounts, audit, credentials, letters, notifications, sent_letters
from server.domain.accounts import Ended
from server.domain.people import (
    known_browsers,
    mailed_tokens,
    passkeys,
    passwords,
    second_factors,
    sessions,
    step_up,
    users,
)
from server.domain.people.passkeys import Challenge
from server.domain.teams import api_keys, cascades, invitation_answers, withdrawals
from server.domain.teams.cascades import DeletedCounts
from server.models import Organization
from server.models.organizations import OrganizationKind
from server.models.users import MailedPurpose
from server.principal import ExternalIdentity
from server.shell.runtime import State
from server.web import attempts
from tests.support.controls import Control, assert_noticed, no, nothing, yes

HERE = Path(__file__).parent
issue = mailed_tokens.issue


def at_any_time(
    secret: str | None, code: str, *, after: int, step_of: Callable[..., int | None] = second_factors._step_of
) -> int | None:
    return step_of(secret, code, after=min(after, -1))


def of_anybody(_user_id: str, sealed: str, seal: Fernet) -> str:
    secret: str = json.loads(seal.decrypt(sealed.encode()))[1]
    return secret


def as_if_mailed(session: Session, user_id: str, purpose: MailedPurpose, **_named: object) -> str:
    return issue(session, user_id, purpose)


def zero(*_args: object) -> int:
    return 0


def nothing_ended(*_args: object) -> Ended:
    return Ended(0, 0, 0, 0)


def nothing_revoked(*_args: object) -> DeletedCounts:
    return DeletedCounts()


def none_taken(*_args: object) -> dict[str, int]:
    return {}


def in_the_organization(session: Session, event: str, user_id: str, target: str = "", **details: str) -> None:
    """Write an account's event where everybody who administers the personal organization reads it."""
    personal = select(Organization.id).where(
        Organization.owner_id == user_id, Organization.kind == OrganizationKind.PERSONAL
    )
    audit.record(session, event, user_id, session.exec(personal).one_or_none(), target, **details)


def without_the_user(
    *, verify: Callable[..., object] = webauthn.verify_authentication_response, **given: object
) -> object:
    return verify(**given | {"require_user_verification": False})


def of_any_owner(request: Request[State], _owner: str) -> Challenge | None:
    kept = unsealed(request, CHALLENGE_COOKIE)
    return Challenge(bytes.fromhex(kept["value"]), datetime.fromisoformat(kept["expires_at"])) if kept else None


def believing(issuer: str, claims: dict[str, object]) -> ExternalIdentity:
    return ExternalIdentity(issuer, str(claims["sub"]), str(claims["email"]), "")


async def nothing_awaited(*_args: object) -> None:
    """What a rule of the shell does once it is switched off."""


def without_limit(*_args: object) -> nullcontext[None]:
    return nullcontext()


def everything(*_args: object) -> sa.ColumnElement[bool]:
    return sa.true()


def one_by_one(
    window: MovingWindowRateLimiter, rules: Sequence[Rule], places: Sequence[int], room: object = limits._require_room
) -> None:
    assert callable(room)
    room(window, rules, [1] * len(places))


CONTROLS = (
    Control("a second step is due", second_factors, "is_on", no,
            "dashboard/test_two_factor.py::test_after_the_password"),
    Control("a reset asks for the second factor", second_factors, "is_on", no,
            "dashboard/test_two_factor.py::test_a_reset_does_not"),
    Control("a first proof ends a second factor", accounts, "_WAYS_IN", (),
            "dashboard/test_two_factor.py::test_a_reset_that_first"),
    Control("codes are checked", second_factors, "check", lambda *_: True,
            "dashboard/test_two_factor.py::test_a_wrong_code_does"),
    Control("a code of the app once", second_factors, "_step_of", at_any_time,
            "dashboard/test_two_factor.py::test_a_code_works_once"),
    Control("a recovery code once", second_factors, "_use_recovery_code", yes,
            "dashboard/test_two_factor.py::test_a_recovery_code"),
    Control("five tries", sessions, "TRIES", 1000, "dashboard/test_two_factor.py::test_after_five"),
    Control("a hundred tries a day", second_factors, "_require_tries_left", nothing,
            "dashboard/test_two_factor.py::test_a_hundred"),
    Control("few second steps at once", sessions, "MAX_PENDING", 1000,
            "dashboard/test_two_factor.py::test_many_sign_ins"),
    Control("codes are limited", Limits, "fail", nothing, "dashboard/test_two_factor.py::test_codes_are_limited"),
    Control("a setup is its account's", second_factors, "_open", of_anybody,
            "dashboard/test_two_factor_setup.py::test_a_setup_is"),
    Control("recovery codes are hashed", second_factors, "token_hash", lambda code: code,
            "dashboard/test_two_factor_setup.py::test_secrets_and"),
    Control("sensitive forms ask again", step_up, "is_fresh", yes,
            "dashboard/test_step_up.py::test_every_sensitive"),
    Control("a proof is checked", step_up, "prove", yes, "dashboard/test_step_up.py::test_right_after"),
    Control("proofs are limited", Limits, "fail", nothing, "dashboard/test_step_up.py::test_proofs_are_limited"),
    Control("letters tell of changes", letters, "send_security_notice", nothing,
            "rest/test_second_factors.py::test_each_change"),
    Control("only the mailed token proves a mailbox", invitation_answers, "_went_by_mail_alone", yes,
            "rest/teams/test_proof_of_a_mailbox.py::test_a_token_that_the_inviter_sees"),
    Control("confirming asks for the password", users, "has_password", yes,
            "rest/teams/test_proof_of_a_mailbox.py::test_confirming_an_address_asks"),
    Control("a changed address asks for the password", users, "has_password", yes,
            "dashboard/test_change_of_address.py::test_elsewhere"),
    Control("invitations to an old address", withdrawals, "release_address", nothing,
            "dashboard/test_old_address.py::test_neither"),
    Control("the first proof ends what was made", accounts, "end_everything_unproven", nothing_ended,
            "rest/teams/test_proof_of_a_mailbox.py::test_a_reset_that_is_the_first_proof"),
    Control("a printed link proves no mailbox", mailed_tokens, "issue", as_if_mailed,
            "rest/teams/test_proof_of_a_mailbox.py::test_a_printed_reset_link"),
    Control("a reset ends access when asked", cascades, "revoke_access", nothing_revoked,
            "rest/teams/test_proof_of_a_mailbox.py::test_a_reset_of_a_proven_account"),
    Control("removal cancels invitations", withdrawals, "cancel_of_member", zero,
            "rest/teams/test_leaving.py::test_a_removed_member"),
    Control("demotion cancels invitations", withdrawals, "cancel_of_member", zero,
            "rest/teams/test_leaving.py::test_a_demoted_admin_is_not"),
    Control("keys have a bound", api_keys, "_require_room", nothing,
            "rest/teams/test_key_bounds.py::test_a_person_has_at_most"),
    Control("notices are gathered", notifications, "_take_unread", none_taken,
            "rest/teams/test_key_bounds.py::test_many_keys"),
    Control("sessions are asked again", credentials, "require_kept", nothing,
            "rest/teams/test_key_bounds.py::test_nothing_changes"),
    Control("a trail for the person alone", audit, "record_account_event", in_the_organization,
            "dashboard/test_own_trail.py::test_an_admin_of_a_personal"),
    Control("a passkey's answer once", passkeys, "_use_up", nothing,
            "dashboard/test_passkeys.py::test_an_answer_counts_once"),
    Control("a passkey knows its user", webauthn, "verify_authentication_response", without_the_user,
            "dashboard/test_passkeys.py::test_a_passkey_that_lies"),
    Control("a passkey is checked", passkeys, "_verified_count", lambda *_: 0,
            "dashboard/test_passkeys.py::test_strangers_who_try"),
    Control("a passkey proves its own user", step_up, "prove_by_passkey", yes,
            "dashboard/test_passkey_factors.py::test_a_passkey_of_somebody"),
    Control("a challenge is for one session", passkeys_view, "kept_challenge", of_any_owner,
            "dashboard/test_passkeys.py::test_a_challenge_of_the_sign_in"),
    Control("the state is checked", provider_view, "hmac", SimpleNamespace(compare_digest=yes),
            "dashboard/test_provider_refusals.py::test_an_answer_counts_only"),
    Control("an ID token's claims", CodeIDToken, "validate", nothing,
            "dashboard/test_provider_refusals.py::test_an_id_token"),
    Control("a confirmed address", oidc, "identity_of", believing,
            "dashboard/test_provider.py::test_an_unconfirmed"),
    Control("sign-up has a policy", accounts, "require_admitted", nothing,
            "dashboard/test_provider.py::test_a_closed"),
    Control("the provider is a first proof", accounts, "end_everything_unproven", nothing_ended,
            "dashboard/test_provider.py::test_what_a_stranger"),
    Control("a provider is left alone", oidc, "AWAY_SECONDS", -1,
            "dashboard/test_provider_refusals.py::test_a_provider_that_answers"),
    Control("failures count", Limits, "fail", nothing, "dashboard/test_guessing.py::test_r08_failures"),
    Control("successes do not", Limits, "end", nothing, "dashboard/test_guessing.py::test_r08_successes"),
    Control("guesses at the same moment", limits, "_require_room", one_by_one,
            "dashboard/test_guessing.py::test_guesses_at_the_same"),
    Control("an account has a limit of its own", attempts, "LOOSELY", 10**6,
            "dashboard/test_guessing.py::test_guesses_from_many"),
    Control("an address has a limit of its own", attempts, "LOOSELY", 10**6,
            "dashboard/test_guessing.py::test_an_address_that"),
    Control("a day of guesses", attempts, "DAILY", 10**6, "dashboard/test_guessing.py::test_a_day"),
    Control("known browsers pass", known_browsers, "_id_in", nothing,
            "dashboard/test_guessing.py::test_a_known_browser_passes"),
    Control("known by a signature", known_browsers, "_id_in", lambda *_: "any",
            "dashboard/test_guessing.py::test_a_browser_is_known_for"),
    Control("a new password forgets browsers", known_browsers, "forget_all", nothing,
            "dashboard/test_guessing.py::test_with_a_new_password"),
    Control("known browsers are counted", Limits, "fail", nothing,
            "dashboard/test_guessing.py::test_a_known_browser_cannot"),
    Control("a form for reset links", attempts, "count_reset_form", nothing_awaited,
            "dashboard/test_guessing.py::test_one_address_cannot"),
    Control("common passwords", passwords, "is_common", no,
            "dashboard/test_choosing_a_password.py::test_the_most"),
    Control("own passwords", passwords, "is_own", no, "dashboard/test_choosing_a_password.py::test_your_own"),
    Control("sign-up's policy", accounts, "require_admitted", nothing,
            "dashboard/test_choosing_a_password.py::test_refused"),
    Control("sign-ups of an IPv6 site", attempts, "site_of", nothing,
            "dashboard/test_choosing_a_password.py::test_r08_sign_ups"),
    Control("few hashes at once", hashing, "_a_turn", nullcontext, "test_hashing.py::test_hashing_is_limited"),
    Control("one reset letter in five minutes", mailed_tokens, "LETTER_EVERY", timedelta(0),
            "dashboard/test_security_letters.py::test_r09_a_reset_letter"),
    Control("one use ends all links", mailed_tokens, "discard", nothing,
            "dashboard/test_security_letters.py::test_r09_older"),
    Control("letters tell of a new password", letters, "send_security_notice", nothing,
            "dashboard/test_security_letters.py::test_a_changed"),
    Control("letters tell of a new browser", known_browsers, "_id_in", lambda *_: "any",
            "dashboard/test_security_letters.py::test_a_sign_in_from"),
    Control("few letters that confirm", sent_letters, "MOST_FOR_RECIPIENT", 10**6,
            "dashboard/test_security_letters.py::test_letters_that_confirm"),
    Control("only confirmed accounts cause letters", letters, "_may_cause_letters", yes,
            "rest/teams/test_letters_to_others.py::test_an_inviter_without"),
    Control("few letters to a recipient", sent_letters, "MOST_FOR_RECIPIENT", 10**6,
            "rest/teams/test_letters_to_others.py::test_a_recipient"),
    Control("few letters of a sender", sent_letters, "MOST_FOR_SENDER", 10**6,
            "rest/teams/test_letters_to_others.py::test_an_inviter_causes"),
    Control("names in quotation marks", letters, "quoted", lambda name: name,
            "rest/teams/test_letters_to_others.py::test_r32"),
    Control("invitations of an address", attempts, "count_invitation", nothing_awaited,
            "rest/teams/test_letters_to_others.py::test_r08"),
    Control("guesses that name no account", attempts, "signing_in_anonymously", without_limit,
            "dashboard/test_guessing_elsewhere.py::test_forged"),
    Control("guesses that confirm an address", attempts, "signing_in", without_limit,
            "dashboard/test_guessing_elsewhere.py::test_passwords_that"),
    Control("letters of another key are left", mail.SmtpMailer, "_due_here", everything,
            "test_mail.py::test_a_letter_that_was_sealed"),
)  # fmt: skip


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.rule)
def test_without_the_rule_its_test_fails(control: Control) -> None:
    assert_noticed(control, HERE)
