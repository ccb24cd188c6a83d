"""The page of an import says that it is done when all of it can be found."""

import pytest
from sqlmodel import Session

from server.dashboard.views import uploads
from server.database import Database
from server.domain.memory import imports, unfinished
from server.domain.memory.exchange.lines import Line, memory_of
from server.errors import Unavailable
from server.index.types import UNEMBEDDED
from server.principal import Principal
from tests.dashboard.test_exchange import import_all, line
from tests.support.visitors import Visitor, seen


async def test_an_import_ends_when_all_of_it_can_be_found(ann: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    publish = imports.publish
    failures = iter([Unavailable])
    monkeypatch.setattr(uploads, "RETRY_SECONDS", 0)

    def fail_once(session: Session, principal: Principal | None, import_id: str) -> bool:
        for failure in failures:
            raise failure
        return publish(session, principal, import_id)

    monkeypatch.setattr(imports, "publish", fail_once)
    assert "1 memory imported" in seen(await import_all(ann, line("Tea.")))
    assert "Tea." in await ann.see(f"{ann.project}/memories")


async def test_what_an_import_skips_can_be_found(
    ann: Visitor, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another import was committed, and its process ended before it was published."""
    monkeypatch.setattr(unfinished, "left_behind", lambda *_args: [])
    with database.write() as session:
        import_id = imports.begin(session, None, ann.tenant.project_id)
        tea = Line(content="Tea.")
        imports.keep(session, import_id, [imports.Staged(1, tea, memory_of(tea, ""), UNEMBEDDED)])
        imports.commit(session, None, import_id)
    assert "0 memories imported. 1 memory skipped" in seen(await import_all(ann, line("Tea.")))
    assert "Tea." in await ann.see(f"{ann.project}/memories")
