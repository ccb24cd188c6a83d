"""Can the tests fail? Rules outside OAuth are switched off in turn, and the test that stands for each must notice."""

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from limits.strategies import MovingWindowRateLimiter

from server import attempts, hashing, limits, mail
from server.domain import accounts, letters, sent_letters
from server.domain.people import common_passwords, known_browsers, mailed_tokens, passwords
from server.domain.teams import invitation_letters
from server.limits import Limits, Rule
from tests.oauth.test_controls import Control, SwitchedOff, no, nothing, yes

HERE = Path(__file__).parent


async def nothing_awaited(*_args: object) -> None:
    """What a rule of the shell does once it is switched off."""


def everything(*_args: object) -> sa.ColumnElement[bool]:
    return sa.true()


def one_by_one(
    window: MovingWindowRateLimiter, rules: Sequence[Rule], places: Sequence[int], room: object = limits._require_room
) -> None:
    assert callable(room)
    room(window, rules, [1] * len(places))


CONTROLS = (
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
    Control("common passwords", common_passwords, "is_common", no,
            "dashboard/test_choosing_a_password.py::test_the_most"),
    Control("own passwords", common_passwords, "is_own", no, "dashboard/test_choosing_a_password.py::test_your_own"),
    Control("sign-up's policy", accounts, "_require_admitted", nothing,
            "dashboard/test_choosing_a_password.py::test_refused"),
    Control("sign-ups of an IPv6 site", attempts, "site_of", nothing,
            "dashboard/test_choosing_a_password.py::test_r08_sign_ups"),
    Control("few hashes at once", hashing, "_a_turn", nullcontext, "test_hashing.py::test_at_most"),
    Control("one reset letter in five minutes", passwords, "LETTER_EVERY", timedelta(0),
            "dashboard/test_security_letters.py::test_r09_a_reset_letter"),
    Control("one use ends all links", mailed_tokens, "discard", nothing,
            "dashboard/test_security_letters.py::test_r09_older"),
    Control("letters tell of a new password", letters, "send_security_notice", nothing,
            "dashboard/test_security_letters.py::test_a_changed"),
    Control("letters tell of a new browser", known_browsers, "_id_in", lambda *_: "any",
            "dashboard/test_security_letters.py::test_a_sign_in_from"),
    Control("few letters that confirm", sent_letters, "MOST_FOR_RECIPIENT", 10**6,
            "dashboard/test_security_letters.py::test_letters_that_confirm"),
    Control("only confirmed accounts cause letters", invitation_letters, "_may_cause_letters", yes,
            "rest/teams/test_letters_to_others.py::test_an_inviter_who"),
    Control("few letters to a recipient", sent_letters, "MOST_FOR_RECIPIENT", 10**6,
            "rest/teams/test_letters_to_others.py::test_a_recipient"),
    Control("few letters of a sender", sent_letters, "MOST_FOR_SENDER", 10**6,
            "rest/teams/test_letters_to_others.py::test_an_inviter_causes"),
    Control("names in quotation marks", letters, "quoted", lambda name: name,
            "rest/teams/test_letters_to_others.py::test_r32"),
    Control("invitations of an address", attempts, "count_invitation", nothing_awaited,
            "rest/teams/test_letters_to_others.py::test_r08"),
    Control("letters of another key are left", mail.SmtpMailer, "_due_here", everything,
            "test_mail.py::test_a_letter_that_was_sealed"),
)  # fmt: skip


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.rule)
def test_without_the_rule_its_test_fails(control: Control) -> None:
    file, _, name = control.test.partition("::")
    arguments = ["-q", "-x", "--no-header", "-p", "no:cacheprovider", f"{HERE}/{file}", "-k", name]
    plugin = SwitchedOff(control)
    assert pytest.main(arguments, plugins=[plugin]) == pytest.ExitCode.TESTS_FAILED
    assert plugin.noticed == 1
