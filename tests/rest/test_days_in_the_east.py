"""The day has begun in the east while UTC is still on the day before. There, today is no day of the future."""

from datetime import UTC, datetime, timedelta

import pytest

from server.domain.memory import inputs
from tests.rest.conftest import Caller
from tests.support.tables import rows


@pytest.fixture
def afternoon(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """Make it 15:00 UTC, at which the next day has begun from UTC+9 on."""
    moment = (datetime.now(UTC) - timedelta(days=1)).replace(hour=15, minute=0, second=0, microsecond=0)
    monkeypatch.setattr(inputs, "now", lambda: moment)
    return moment


async def test_today_in_the_east_is_now(api: Caller, afternoon: datetime) -> None:
    tomorrow = (afternoon + timedelta(days=1)).date()
    for written in (f"{tomorrow}", f"{tomorrow}T00:00:00"):  # the second is how programs write a day
        memory_id = await api.add("the day has begun in Tokyo", created_at=written)
        memory = (await api.get(f"/api/memories/{memory_id}")).json()
        assert datetime.now(UTC) - datetime.fromisoformat(memory["created_at"]) < timedelta(minutes=1)


async def test_the_same_request_an_hour_later_creates_nothing(
    api: Caller, afternoon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"content": "the day has begun in Tokyo", "created_at": f"{(afternoon + timedelta(days=1)).date()}"}
    first = await api.post("/api/memories", body, Idempotency_Key="key")
    monkeypatch.setattr(inputs, "now", lambda: afternoon + timedelta(hours=1))
    again = await api.post("/api/memories", body, Idempotency_Key="key")
    assert (again.status_code, again.json()) == (200, first.json())


@rows(
    ("days", "time", "reason"),
    [
        (2, "", "must be a time between 1970 and now."),
        (1, "T00:30", "must not be in the future; a time without an offset, such as +09:00, is in UTC."),
        (1, "T00:30Z", "must be a time between 1970 and now."),
        (1, "T06:00", "must be a time between 1970 and now."),
        (1, "T00:00+00:00", "must be a time between 1970 and now."),
    ],
)
async def test_the_future_is_refused(api: Caller, afternoon: datetime, days: int, time: str, reason: str) -> None:
    written = f"{(afternoon + timedelta(days=days)).date()}{time}"
    for refused, why in ((written, reason), ("0001-01-01", "must be a time between 1970 and now.")):
        answer = await api.post("/api/memories", {"content": "x", "created_at": refused})
        assert (answer.status_code, answer.json()) == (400, {"detail": f"created_at: {why}"})
    with_offset = f"{(afternoon + timedelta(days=1)).date()}T00:00+09:00"
    assert await api.add("midnight in Tokyo", created_at=with_offset)
