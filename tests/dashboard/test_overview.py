"""The overview of a project counts by the calendar of the person who reads it."""

from datetime import UTC, datetime, timedelta

from tests.support.visitors import Visitor


async def test_weeks_are_those_of_the_reader(ann: Visitor) -> None:
    today = datetime.now(UTC)
    monday = today.replace(hour=0, minute=0) - timedelta(days=today.weekday() + 14)
    sunday_noon = monday - timedelta(hours=12)  # Monday in New Zealand
    body = {"content": "x", "created_at": sunday_noon.isoformat()}
    assert (await ann.client.post("/api/memories", json=body, headers=ann.tenant.auth)).status_code == 200
    week_before = monday - timedelta(days=7)
    page = await ann.see(ann.project)
    assert "By week, UTC" in page
    assert f"Week of {week_before:%B} {week_before.day}, {week_before:%Y} 1" in page
    ann.client.cookies.set("zone", "Pacific%2FAuckland")
    page = await ann.see(ann.project)
    assert "By week, UTC" not in page
    assert f"Week of {monday:%B} {monday.day}, {monday:%Y} 1" in page
