"""Can the tests of the rules outside OAuth fail? Each rule is switched off in turn, and its test must notice."""

import json
from pathlib import Path

import pytest
import yaml
from sqlmodel import Session

from server import app
from server.adapters.limits import Limits
from server.buckets import Bucket
from server.domain.memory import imports, memories, usage
from server.domain.memory.exchange import archive, table
from server.domain.memory.usage import Usage
from server.index.model.batching import BatchingEmbedder
from server.models import Project
from server.principal import Principal
from server.shell import runtime
from server.shell.operations import Limit
from server.shell.pools import Pools
from server.shell.runtime import Runtime
from server.shell.shares import Shares, Threads
from server.shell.uploads import Upload, Uploads
from server.storage.database import quota_of
from server.web import wire
from tests.support.controls import Control, assert_noticed, no, nothing

HERE = Path(__file__).parent


class Never:
    """Nothing is one of these."""


def without_shares() -> Pools:
    threads = [Threads("any", 20, share=20) for _ in range(7)]
    shares = [Shares(64, share=64) for _ in range(4)]
    return Pools(*threads, *shares)


def by_credential(principal: Principal, _project_id: str | None = None) -> tuple[str, str]:
    return principal.credential_id, ""


async def uncounted(_runtime: Runtime) -> None:
    """Count no stranger."""


def left(_session: Session, _principal: object, _import_id: str) -> bool:
    return False


def any_project(session: Session, _principal: object, project_id: str, _action: object) -> Project:
    return session.get_one(Project, project_id)


def of_anybody(store: Uploads, upload_id: str, _user_id: str, _project_id: str) -> Upload:
    [path] = store.folder.glob(f"*/{upload_id}.json")
    return Upload(**json.loads(path.read_text()))


def without_imports(session: Session, project_id: str, **_lock: bool) -> Usage:
    project = session.get_one(Project, project_id)
    return Usage(project.memory_count, project.memory_bytes, quota_of(session))


CONTROLS = (
    Control("a caller's share", app, "new_pools", without_shares, "rest/test_fair_shares.py::test_few_large_bodies"),
    Control("limits count by size", runtime, "LIMITS", {memories.add_many: Limit(Bucket.MEMORY_ADD)},
            "rest/test_rate_limits.py::test_a_batch_counts_its"),
    Control("limits count a person", runtime, "limit_key", by_credential,
            "rest/test_rate_limits.py::test_all_credentials"),
    Control("refused before the body", Limits, "require_room", nothing, "rest/test_rate_limits.py::test_a_body_is"),
    Control("strangers are counted", Runtime, "count_request", uncounted,
            "rest/test_rate_limits.py::test_all_requests"),
    Control("a failed import leaves nothing", imports, "discard", left,
            "domain/memory/test_imports.py::test_an_invalid_line_at"),
    Control("a project has a quota", usage, "_require_below", nothing,
            "rest/test_quotas.py::test_a_batch_over_the"),
    Control("a body arrives in time", wire, "BODY_BYTES_PER_SECOND", 0.001,
            "rest/test_fair_shares.py::test_a_body_that_trickles"),
    Control("a model thread for questions", BatchingEmbedder, "_is_last_kept", no,
            "index/test_batching.py::test_one_caller_uses"),
    Control("what is committed is reserved", usage, "usage_of", without_imports,
            "rest/test_quotas.py::test_what_an_import_has"),
    Control("a refused batch leaves nothing", imports, "discard_all", nothing,
            "domain/memory/test_batches.py::test_who_lost_the_right"),
    Control("rights when an import commits", imports, "require_project_for", any_project,
            "domain/memory/test_imports.py::test_who_lost"),
    Control("what is there is skipped", imports, "without_known", lambda _session, _id, lines: lines,
            "domain/memory/test_moving_in.py::test_what_is_there"),
    Control("zips have bounds", archive, "MAX_RATIO", 10**9,
            "domain/memory/test_moving_zips.py::test_a_zip_that_grows"),
    Control("YAML has no aliases", yaml, "AliasEvent", Never,
            "domain/memory/test_moving_notes.py::test_front_matter_that_would"),
    Control("no cell is a formula", table, "_FORMULA", ("none",), "domain/memory/test_moving_out.py::test_no_cell"),
    Control("uploads are their user's", Uploads, "find", of_anybody,
            "dashboard/test_exchange.py::test_an_upload_is_seen"),
)  # fmt: skip


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.rule)
def test_without_the_rule_its_test_fails(control: Control) -> None:
    assert_noticed(control, HERE)
