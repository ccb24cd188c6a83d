"""Can the tests of the rules outside OAuth fail? Each rule is switched off in turn, and its test must notice."""

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from sqlmodel import Session, SQLModel

from server.dashboard.views import exchange
from server.domain import audit, notifications, retention
from server.domain.memory import repeats, versions
from server.domain.memory.budget import Budget
from server.models import Memory, MemoryVersion
from tests.support.controls import Control, assert_noticed, nothing, yes
from tools import server as mcp_server
from tools import views

HERE = Path(__file__).parent
FOR_EVER = timedelta(days=10_000)


def keep_a_copy(session: Session, memory: Memory, _change: object) -> None:
    session.add(
        MemoryVersion(
            memory_number=memory.number,
            version=memory.version,
            content=memory.content,
            details=memory.details,
            updated_at=memory.updated_at,
        )
    )
    session.flush()


def delete_at_once(session: Session, conditions: Sequence[tuple[type[SQLModel], sa.ColumnElement[bool]]]) -> int:
    deletions = [sa.delete(table).where(condition) for table, condition in conditions]
    return sum(session.connection().execute(deletion).rowcount for deletion in deletions)


CONTROLS = (
    Control("lists have a bound in bytes", Budget, "take", yes,
            "rest/test_answers_in_bounds.py::test_a_list_has_at_most"),
    Control("searches have a bound in bytes", Budget, "take", yes,
            "rest/test_answers_in_bounds.py::test_a_search_has_at_most"),
    Control("histories have a bound in bytes", Budget, "take", yes,
            "rest/test_answers_in_bounds.py::test_changes_of_metadata"),
    Control("tools have a bound", views, "ANSWER_LENGTH", 10**9, "tools/test_answers.py::test_an_answer_has_a_bound"),
    Control("tools are listed by rights", mcp_server, "may_write", yes,
            "tools/test_gate.py::test_a_read_only_credential_may"),
    Control("a text is remembered once", repeats, "_locked", nothing,
            "domain/memory/test_repeats.py::test_the_same_text_again"),
    Control("a version is what changed", versions, "keep", keep_a_copy,
            "rest/test_answers_in_bounds.py::test_a_version_keeps_only"),
    Control("fifty versions", versions, "MOST_VERSIONS", 1_000,
            "rest/test_answers_in_bounds.py::test_a_memory_keeps_its_last_fifty"),
    Control("bulk deletions are traced", audit, "record_memories", nothing,
            "rest/test_answers_in_bounds.py::test_deleting_everything"),
    Control("one export a user", exchange, "_turn_of", lambda _user_id, _folder: nullcontext(),
            "dashboard/test_exchange.py::test_a_user_has_one_export"),
    Control("events end", retention, "RETENTION", FOR_EVER, "rest/test_housekeeping.py::test_events_are_kept"),
    Control("events of nobody end", retention, "RETENTION_WITHOUT_ORGANIZATION", FOR_EVER,
            "rest/test_housekeeping.py::test_failed_sign_ins"),
    Control("invitations end", retention, "INVITATION_RETENTION", FOR_EVER,
            "rest/test_housekeeping.py::test_sessions_links"),
    Control("read notices end", notifications, "_FORGET", SimpleNamespace(run=nothing),
            "rest/test_housekeeping.py::test_a_notice_removes"),
    Control("rows go in chunks", retention, "delete_chunks", delete_at_once,
            "rest/test_housekeeping.py::test_what_has_ended_goes"),
)  # fmt: skip


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.rule)
def test_without_the_rule_its_test_fails(control: Control) -> None:
    assert_noticed(control, HERE)
