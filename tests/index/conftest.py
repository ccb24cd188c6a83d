"""Make the fixtures of `tests.support.world` available to the tests of the index."""

import pytest

from server.index.upkeep import worker
from tests.support.world import embedder, world

__all__ = ["embedder", "world"]


@pytest.fixture(autouse=True)
def _impatient_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the worker look for work every 0.1 seconds, so that no test waits 5 seconds for it."""
    monkeypatch.setattr(worker, "CHECK_EVERY_SECONDS", 0.1)
