"""Lists are in the order in which people look for names."""

import re

from tests.support.visitors import Visitor


async def test_the_own_organization_comes_first_and_the_others_by_name(ann: Visitor) -> None:
    for name in ("Zoo", "älter", "Archive"):
        await ann.do("/dashboard/organizations", {"name": name})
    page = (await ann.get("/dashboard/organizations")).text
    titles = re.findall(r'<h2 id="org_[^>]*><a [^>]*>([^<]*)<', page)
    assert titles == ["Personal", "älter", "Archive", "Zoo"]
