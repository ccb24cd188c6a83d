"""Can the tests of the index fail? Each rule is switched off in turn, and its test must notice."""

from pathlib import Path

import pytest

from server.index.exact import matrix_cache
from server.index.model import batching, failures
from tests.support.controls import Control, assert_noticed

HERE = Path(__file__).parent


def total_of_all(cache: matrix_cache.MatrixCache) -> None:
    """Evict as it was done before: look at every cached matrix."""
    scans = [cached.scan for cached in cache._cached.values() if cached.scan]
    assert sum(scan.matrix.buffer.nbytes for scan in scans) >= 0


CONTROLS = (
    Control("eviction looks at what it drops", matrix_cache.MatrixCache, "_evict", total_of_all,
            "index/test_scans.py::test_a_search_looks_at_no_more"),
    Control("small projects take space", matrix_cache, "ENTRY_BYTES", 0,
            "index/test_scans.py::test_projects_without_pieces"),
    Control("one oversized project", matrix_cache.MatrixCache, "_count", lambda *_: None,
            "index/test_scans.py::test_a_project_larger"),
    Control("a failing model is an outage", failures, "ModelFailed", RuntimeError,
            "surfaces/test_model_outages.py::test_rest_answers"),
    Control("a closed model is an outage", batching, "EmbedderClosed", RuntimeError,
            "surfaces/test_model_outages.py::test_pages_answer"),
)  # fmt: skip


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.rule)
def test_without_the_rule_its_test_fails(control: Control) -> None:
    assert_noticed(control, HERE)
