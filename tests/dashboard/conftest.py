"""Two users with a browser each, and one who can view the other's project."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from server.models import OrganizationMember, ProjectMember, ProjectRole
from server.models.organizations import OrganizationRole
from server.storage.database import Database
from tests.conftest import Tenant
from tests.support.browsers import fresh, sign_in, sign_up
from tests.support.two_factor import Enrolled, set_up
from tests.support.visitors import Visitor
from tests.support.visitors import visit as visit


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "settings(name=value): what is set differently for this test")


@pytest.fixture
def ann(visit: Callable[[Tenant], Visitor], alice: Tenant) -> Visitor:
    return visit(alice)


@pytest.fixture
def ben(visit: Callable[[Tenant], Visitor], bob: Tenant) -> Visitor:
    return visit(bob)


@pytest.fixture
def viewer(visit: Callable[[Tenant], Visitor], alice: Tenant, bob: Tenant, database: Database) -> Visitor:
    """Bob as a viewer of Alice's project."""
    with database.write() as session:
        role = OrganizationRole.MEMBER
        session.add(OrganizationMember(organization_id=alice.organization_id, user_id=bob.user_id, role=role))
        session.add(ProjectMember(project_id=alice.project_id, user_id=bob.user_id, role=ProjectRole.VIEWER))
    return visit(bob)


@pytest.fixture
async def enrolled(client: httpx.AsyncClient) -> Enrolled:
    await sign_up(client)
    return await set_up(client)


@pytest.fixture
async def half_way(enrolled: Enrolled) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that has proved the password of `enrolled` and nothing else."""
    async with fresh(enrolled.client) as browser:
        await sign_in(browser)
        yield browser
