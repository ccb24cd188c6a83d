"""Can the tests of the rules outside OAuth fail? Each rule is switched off in turn, and its test must notice."""

from pathlib import Path

import pytest
from sqlmodel import Session, select

from server.domain import accounts, audit, notifications
from server.domain.accounts import Ended
from server.domain.people import mailed_tokens, sessions
from server.domain.teams import api_keys, cascades, invitation_answers, withdrawals
from server.domain.teams.cascades import RevokedAccess
from server.models import Organization
from server.models.organizations import OrganizationKind
from tests.oauth.test_controls import Control, SwitchedOff, nothing, yes

HERE = Path(__file__).parent


def zero(*_args: object) -> int:
    return 0


def nothing_ended(*_args: object) -> Ended:
    return Ended(0, 0, 0, 0)


def nothing_revoked(*_args: object) -> RevokedAccess:
    return RevokedAccess(0, 0)


def none_taken(*_args: object) -> dict[str, int]:
    return {}


def in_the_organization(session: Session, event: str, user_id: str, target: str = "", **details: str) -> None:
    """Write an account's event where everybody who administers the personal organization reads it."""
    personal = select(Organization.id).where(
        Organization.owner_id == user_id, Organization.kind == OrganizationKind.PERSONAL
    )
    audit.record(session, event, user_id, session.exec(personal).one_or_none(), target, **details)


CONTROLS = (
    Control("only the mailed token proves a mailbox", invitation_answers, "_went_by_mail_alone", yes,
            "rest/teams/test_proof_of_a_mailbox.py::test_a_token_that_the_inviter_sees"),
    Control("confirming asks for the password", accounts, "_require_password", nothing,
            "rest/teams/test_proof_of_a_mailbox.py::test_confirming_an_address_asks"),
    Control("the first proof ends what was made", accounts, "end_everything_unproven", nothing_ended,
            "rest/teams/test_proof_of_a_mailbox.py::test_a_reset_that_is_the_first_proof"),
    Control("a printed link proves no mailbox", mailed_tokens, "proves_mailbox", yes,
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
    Control("sessions are asked again", sessions, "require_live", nothing,
            "rest/teams/test_key_bounds.py::test_what_outlives"),
    Control("a trail for the person alone", audit, "record_own", in_the_organization,
            "dashboard/test_own_trail.py::test_an_admin_of_a_personal"),
)  # fmt: skip


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.rule)
def test_without_the_rule_its_test_fails(control: Control) -> None:
    file, _, name = control.test.partition("::")
    arguments = ["-q", "-x", "--no-header", "-p", "no:cacheprovider", f"{HERE}/{file}", "-k", name]
    plugin = SwitchedOff(control)
    assert pytest.main(arguments, plugins=[plugin]) == pytest.ExitCode.TESTS_FAILED
    assert plugin.noticed == 1
