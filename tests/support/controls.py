"""Mutation tests: they switch off a rule, and require that its test fails."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.mail import Mailbox

WITHOUT = ("--assert=plain", "--tb=native", "-p", "no:cacheprovider", "-p", "no:unraisableexception")
"""What a run leaves out: nobody reads why its test failed, so no source is read for it, and the last plugin collects
garbage five times at the end, which takes longer than most tests.
"""


@dataclass(frozen=True)
class Control:
    """A rule, the attribute of `target` that implements it, its replacement, and the test that must then fail."""

    rule: str
    target: object
    name: str
    replacement: object
    test: str


def nothing(*_args: object, **_named: object) -> None:
    """Replace a rule that acts or raises."""


def yes(*_args: object, **_named: object) -> bool:
    return True


def no(*_args: object, **_named: object) -> bool:
    return False


class SwitchedOff:
    """A plugin for the inner run: switches off the rule, and counts the tests that fail by an assertion."""

    def __init__(self, control: Control) -> None:
        self.control = control
        self.noticed = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        crash = getattr(report.longrepr, "reprcrash", None)
        if report.when == "call" and report.failed and crash is not None:
            self.noticed += crash.message.startswith(("assert ", "AssertionError", "Failed: DID NOT RAISE"))

    @pytest.fixture(autouse=True)
    def _switched_off(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        if "database_url" in request.fixturenames:
            request.getfixturevalue("database_url")  # other tests share what was created in it
        monkeypatch.setattr(self.control.target, self.control.name, self.control.replacement)
        monkeypatch.setattr(Mailbox, "PATIENCE_SECONDS", 2.0)  # many controls wait for a letter that never comes


def assert_noticed(control: Control, folder: Path, path: str = "{}") -> None:
    """Run the control's test without the rule, and require that the test fails by an assertion.

    The control names a file and the beginning of a test's name. `path` returns the file's path in `folder`.
    """
    file, _, name = control.test.partition("::")
    arguments = ["-q", "-x", "--no-header", *WITHOUT, str(folder / path.format(file)), "-k", name]
    plugin = SwitchedOff(control)
    with tempfile.TemporaryDirectory() as own:  # in the usual folder, runs remove one another's old files
        assert pytest.main([*arguments, f"--basetemp={own}/tests"], plugins=[plugin]) == pytest.ExitCode.TESTS_FAILED
    assert plugin.noticed == 1
