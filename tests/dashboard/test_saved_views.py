"""Saved views: a search or filtered list under a name, which only its user sees, in one project."""

import re

import sqlalchemy as sa

from server.domain.memory.pages.saved_views import MOST_VIEWS
from server.models import SavedView
from server.storage.database import Database
from tests.support.visitors import Visitor, seen

QUERY = "?q=window+seat&tags=travel&sort=newest"


async def save(ann: Visitor, name: str, query: str = QUERY) -> str:
    return await ann.do(f"{ann.project}/views{query}", {"name": name})


async def shown(ann: Visitor) -> dict[str, str]:
    """Return the addresses of the saved views that the list links to, by name."""
    page = (await ann.get(f"{ann.project}/memories")).text
    nav = page.partition('aria-label="Saved views"')[2].partition("</nav>")[0]
    links = re.findall(r'href="([^"]*)"[^>]*>.*?</svg> ([^<]*)<', nav)
    return {name: address.replace("&amp;", "&") for address, name in links}


async def test_a_view_opens_what_was_saved(ann: Visitor) -> None:
    await ann.remember("Anna likes the window seat.", tags="travel")
    assert "Save view" not in await ann.see(f"{ann.project}/memories")
    assert "Save view" in await ann.see(f"{ann.project}/memories{QUERY}")
    done = await save(ann, " Seats ")
    assert done == f"{ann.project}/memories{QUERY}&done=view-saved"
    page = await ann.see(done)
    assert "View saved." in page
    assert "Rename view" in page
    views = await shown(ann)
    assert views == {"Seats": f"{ann.project}/memories{QUERY}"}
    for name in ("Zoo", "Ärger", "apple"):
        await save(ann, name)
    assert list(await shown(ann)) == ["apple", "Ärger", "Seats", "Zoo"]
    assert "likes the" in await ann.see(views["Seats"])


async def test_a_view_is_renamed_and_deleted(ann: Visitor, database: Database) -> None:
    await save(ann, "Seats")
    await save(ann, "Work", "?tags=work")
    page = (await ann.get(f"{ann.project}/memories{QUERY}")).text
    rename = re.search(r'action="([^"]*/views/[^"]*/rename[^"]*)"', page)
    assert rename
    address = rename[1].replace("&amp;", "&")
    assert (await ann.post(address, {"name": "work"})).status_code == 409
    await ann.do(address, {"name": "Window seats"})
    assert list(await shown(ann)) == ["Window seats", "Work"]
    assert "Its memories stay." in await ann.see(await ann.do(address.replace("/rename", "/delete")))
    assert list(await shown(ann)) == ["Work"]
    assert (await ann.post(address, {"name": "Again"})).status_code == 404


async def test_a_refused_view_leaves_the_list_as_it_was(ann: Visitor) -> None:
    await ann.remember("Anna likes the window seat.", tags="travel")
    await save(ann, "Seats")
    for name, sentence in {"seats": "already have a view", "": "Name: use 1 to 60", "x" * 61: "Name: use 1 to"}.items():
        refused = await ann.post(f"{ann.project}/views{QUERY}", {"name": name})
        assert refused.status_code in (400, 409)
        assert sentence in seen(refused)
        assert "likes the" in seen(refused)
    whole = await ann.post(f"{ann.project}/views", {"name": "All"})
    assert (whole.status_code, "needs no saved view" in whole.text) == (400, True)
    long = await ann.post(f"{ann.project}/views?q={'x' * 9_000}", {"name": "Long"})
    assert (long.status_code, "too long to be saved" in long.text) == (400, True)


async def test_views_are_of_one_person(ann: Visitor, viewer: Visitor) -> None:
    await save(ann, "Seats")
    at_ann = Visitor(viewer.client, ann.tenant)
    assert await shown(at_ann) == {}
    await save(at_ann, "Seats", "?tags=work")
    (address,) = re.findall(r"/views/[^/]*/delete", (await ann.get(f"{ann.project}/memories{QUERY}")).text)
    assert (await at_ann.post(f"{ann.project}{address}")).status_code == 404
    assert (await at_ann.get(f"{ann.project}/memories?tags=work")).text.count("Rename view") == 1
    assert await shown(ann) == {"Seats": f"{ann.project}/memories{QUERY}"}


async def test_there_are_at_most_fifty_and_they_end_with_the_account(ann: Visitor, database: Database) -> None:
    with database.write() as session:
        project_id, user_id = ann.tenant.project_id, ann.tenant.user_id
        for name in map(str, range(MOST_VIEWS)):
            session.add(SavedView(project_id=project_id, user_id=user_id, name=name, name_key=name, query=QUERY))
    refused = await ann.post(f"{ann.project}/views{QUERY}", {"name": "One more"})
    assert (refused.status_code, "50 saved views" in refused.text) == (409, True)
    assert (await ann.client.delete("/api/users/me", headers={"Origin": "http://localhost:8081"})).status_code == 200
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(SavedView)) == 0
