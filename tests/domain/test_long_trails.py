"""A long audit trail is deleted in turns, and only its newest events together with the organization or the account."""

import pytest
import sqlalchemy as sa

from server.domain import accounts, retention
from server.domain.teams import organizations
from server.models import AuditEvent, Organization
from server.storage import chunks
from tests.domain.memory.test_turns import between_turns, run
from tests.support.world import World


def count(world: World) -> int:
    with world.database.read() as session:
        return session.scalar(sa.select(sa.func.count()).where(AuditEvent.target == "long")) or 0  # type: ignore[arg-type]


@pytest.mark.parametrize("of_account", [True, False])
def test_a_long_audit_trail_is_deleted_in_turns(
    world: World, monkeypatch: pytest.MonkeyPatch, of_account: bool
) -> None:
    monkeypatch.setattr(chunks, "TURN_SECONDS", 0.0)
    monkeypatch.setattr(retention, "EVENTS_AT_ONCE", 5)
    monkeypatch.setattr(retention, "CHUNK_ROWS", 10)
    organization = run(world, organizations.create, "Team")
    assert isinstance(organization, Organization)
    organization_id, user_id = (None, world.principal.user_id) if of_account else (organization.id, None)
    with world.database.write() as session:
        session.add_all(
            AuditEvent(type="key", target="long", organization_id=organization_id, user_id=user_id) for _ in range(40)
        )
    with between_turns(monkeypatch, lambda: count(world)) as left:
        run(world, organizations.delete, organization.id)
        if of_account:
            run(world, accounts.delete)
    assert left == sorted(left, reverse=True)  # type: ignore[type-var]  # they are numbers
    assert len(left) >= 4
    assert left[-1] in range(1, 6), "the newest go with the rest"
    assert count(world) == 0
