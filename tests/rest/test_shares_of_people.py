"""The slots for each kind of work are shared by people, not by their projects or credentials."""

from collections.abc import Callable

import pytest

from server.shell.shares import Shares
from tests.conftest import Tenant
from tests.rest.conftest import Caller


async def test_a_person_has_one_share_with_all_credentials_and_projects(
    api: Caller, alice: Tenant, signed_in: Callable[[Tenant], Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise somebody with a hundred projects, and a key for each, could use all threads."""
    take, callers = Shares._take, set[str]()

    async def noting(shares: Shares, caller: str) -> None:
        callers.add(caller)
        await take(shares, caller)

    monkeypatch.setattr(Shares, "_take", noting)
    for _ in range(2):  # the second time, the credential is known before it is looked up
        await api.listed()
        await signed_in(alice).get("/api/projects")
    assert {caller for caller in callers if caller.startswith("user_")} == {alice.user_id}
