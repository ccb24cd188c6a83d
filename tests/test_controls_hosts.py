"""Can the tests of hosts, origins and proxies fail? Each rule is switched off in turn."""

from pathlib import Path

import pytest

from server.web import cors, forwarding, request_credentials
from tests.support.controls import Control, assert_noticed, no, yes
from tools import gate

HERE = Path(__file__).parent


def everything(_self: object, _origin: str) -> bool:
    return True


CONTROLS = (
    Control("unknown hosts", gate, "is_known", yes, "tools/test_hosts_and_origins.py::test_any_other_host"),
    Control("local hosts", gate, "is_local_name", no, "tools/test_hosts_and_origins.py::test_hosts_that"),
    Control("unknown origins", cors.CallerOrigins, "__contains__", everything,
            "tools/test_hosts_and_origins.py::test_other_origins"),
    Control("loopback origins of a public server", cors, "is_loopback", yes,
            "tools/test_hosts_and_origins.py::test_other_origins"),
    Control("a star is for doors without a cookie", request_credentials, "own_origins", lambda _: ["null"],
            "tools/test_hosts_and_origins.py::test_what_is_allowed"),
    Control("only trusted proxies forward", forwarding, "is_within", yes, "test_forwarding.py::test_a_trusted"),
    Control("one way of forwarding", forwarding, "X_FORWARDED", (),
            "test_forwarding.py::test_a_client_cannot"),
)  # fmt: skip


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.rule)
def test_without_the_rule_its_test_fails(control: Control) -> None:
    assert_noticed(control, HERE)
