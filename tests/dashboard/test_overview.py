"""The overview of a project counts by the calendar of the person who reads it."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from tests.support.tables import rows
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


@rows("zone", ["Nope%2FZone", "Europe", "..%2F..%2Fetc%2Fpasswd", "%F0%9F%98%80", "a" * 5_000])
async def test_a_time_zone_that_there_is_not_is_utc(ann: Visitor, zone: str) -> None:
    """A browser may know a newer zone, and another host of the domain may set the cookie."""
    ann.client.cookies.set("zone", zone)
    for path in (ann.project, f"{ann.project}/memories"):
        assert (await ann.get(path)).status_code == 200


async def test_the_labels_of_the_chart_have_room_on_a_phone(ann: Visitor) -> None:
    for days in (0, 200):
        created_at = (datetime.now(UTC) - timedelta(days=days)).isoformat()
        body = {"content": f"From {days} days ago.", "created_at": created_at}
        assert (await ann.client.post("/api/memories", json=body, headers=ann.tenant.auth)).status_code == 200
    positions = re.findall(r'<text x="([\d.]+)" y="134">[A-Z][a-z]+ \d{4}</text>', (await ann.get(ann.project)).text)
    assert len(positions) >= 2
    places = [float(position) for position in positions]
    assert all(after - before >= 100 for before, after in pairwise(places))
    assert places[-1] <= 540
