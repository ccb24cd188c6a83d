"""A credential that ended since its last request is refused before anything else, and its limits count."""

import httpx
import pytest
import sqlalchemy as sa

from server.models import ApiKey
from server.storage.database import Database
from tests.conftest import Tenant

QUESTIONS = ("/api/memories", "/api/memories?limit=many", "/api/memories?colour=red", "/api/memories/mem_nothing")


@pytest.mark.sqlite_only
@pytest.mark.parametrize("path", QUESTIONS)
async def test_an_ended_key_is_refused_before_the_request_is(
    client: httpx.AsyncClient, alice: Tenant, database: Database, path: str
) -> None:
    assert (await client.get("/api/memories", headers=alice.auth)).status_code == 200
    with database.write() as session:
        session.execute(sa.delete(ApiKey))
    for _ in range(2):
        assert (await client.get(path, headers=alice.auth)).status_code == 401
