"""A condition on a change is refused, because an ignored one could overwrite what somebody else has changed."""

import pytest

from tests.rest.conftest import Caller


@pytest.mark.sqlite_only
@pytest.mark.parametrize("name", ["If-Match", "If-Unmodified-Since"])
async def test_a_condition_that_could_protect_a_memory_is_refused(api: Caller, name: str) -> None:
    path = f"/api/memories/{await api.add('stays')}"
    headers = {name: '"1"' if name == "If-Match" else "Mon, 01 Jan 2024 00:00:00 GMT"}
    for method, route, body in (
        ("PUT", path, {"content": "x"}),
        ("PATCH", path, {"content": "x"}),
        ("POST", f"{path}/restore", {"version": 1}),
        ("DELETE", path, None),
        ("DELETE", "/api/memories", None),
    ):
        refused = await api.client.request(method, route, json=body, headers={**api.headers, **headers})
        assert refused.status_code == 400, (method, route)
        assert refused.json()["detail"].startswith(f"{name}: is not supported")
    assert await api.listed() == ["stays"]
    assert (await api.client.get(path, headers={**api.headers, **headers})).status_code == 200
    kept = await api.client.request("PATCH", path, json={"content": "y"}, headers={**api.headers, "If-Match": "*"})
    assert kept.status_code == 200
