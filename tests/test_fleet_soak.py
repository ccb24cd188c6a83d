"""The soak of a fleet ends as failed when a part of it stops working, instead of going on without it."""

from argparse import Namespace
from collections.abc import Callable
from typing import cast

import pytest

from bench.fleet.__main__ import load
from bench.fleet.faults import Fleet
from bench.ledger import Ledger

CLOSED_PORT = "http://127.0.0.1:9"


class FleetWithoutServer:
    def __init__(self, faults: list[Callable[[], str]], url: Callable[[], str] = lambda: CLOSED_PORT) -> None:
        self.faults, self.url = lambda: faults, url


def refused() -> str:
    raise OSError("Postgres did not start")


def no_url() -> str:
    raise RuntimeError("no server to ask")


def failure_of(fleet: FleetWithoutServer, every: float) -> str:
    options = Namespace(callers=2, every=every, minutes=10)
    with pytest.raises(SystemExit) as ended:
        load(cast(Fleet, fleet), "key", options, Ledger(seed=1))
    return str(ended.value)


def test_a_fault_that_fails_ends_the_run_with_one_line() -> None:
    sentence = failure_of(FleetWithoutServer([lambda: "killed nothing", refused]), every=0.01)
    assert sentence == "The run failed: OSError: Postgres did not start"


def test_a_caller_that_fails_ends_the_run_with_one_line() -> None:
    sentence = failure_of(FleetWithoutServer([refused], no_url), every=60)
    assert sentence == "The run failed: RuntimeError: no server to ask"
