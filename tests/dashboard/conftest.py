"""Two people with a browser each."""

from collections.abc import Callable

import pytest

from tests.conftest import Tenant
from tests.dashboard.visitors import Visitor
from tests.dashboard.visitors import visit as visit


@pytest.fixture
def ann(visit: Callable[[Tenant], Visitor], alice: Tenant) -> Visitor:
    return visit(alice)


@pytest.fixture
def ben(visit: Callable[[Tenant], Visitor], bob: Tenant) -> Visitor:
    return visit(bob)
