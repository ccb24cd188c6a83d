"""A form on a page of a list returns to that page, and the way back to a search stays while a memory is changed."""

import html
import re

from server.models import OrganizationMember, OrganizationRole, ProjectMember, ProjectRole, User
from server.models.base import now
from server.storage.database import Database
from tests.dashboard.test_keys_and_account import create_key
from tests.dashboard.test_people import team
from tests.support.visitors import Visitor, hidden, seen


def actions(page: str, ending: str) -> list[str]:
    """Return the addresses of the forms whose path ends in `ending`."""
    return [html.unescape(one) for one in re.findall(rf'action="([^"?]*/{ending}(?:\?[^"]*)?)"', page)]


def add_members(database: Database, at: Visitor, number: int) -> None:
    """Add members to the organization and to the project."""
    with database.write() as session:
        users = [
            User(email=f"user{one:02}@example.com", name=f"User {one:02}", created_at=now()) for one in range(number)
        ]
        session.add_all(users)
        session.flush()
        tenant = at.tenant
        for user in users:
            role = OrganizationRole.MEMBER
            session.add(OrganizationMember(organization_id=tenant.organization_id, user_id=user.id, role=role))
            session.add(ProjectMember(project_id=tenant.project_id, user_id=user.id, role=ProjectRole.VIEWER))


async def test_a_form_on_the_second_page_of_keys_returns_there(ann: Visitor) -> None:
    for number in range(40):
        await create_key(ann, "read", name=f"Key {number}")
    second = f"{ann.project}/keys?from=40"
    page = (await ann.get(f"{second}&done=key-renamed")).text
    long = (await ann.get(f"{second}&x={'x' * 4_000}")).text
    assert not any("?" in action for action in actions(long, "rename")), "each row would repeat it"
    renamed = await ann.do(actions(page, "rename")[0], {"name": "Old"})
    assert renamed == f"{second}&done=key-renamed"
    refused = await ann.post(actions(page, "rename")[0], {"name": ""})
    assert (refused.status_code, actions(refused.text, "revoke")) == (400, actions(page, "revoke"))
    replaced = await ann.get(await ann.do(actions(page, "replace")[0]))
    assert "API key created" in seen(replaced)
    assert "41–42 of 42" in seen(replaced)
    for address in actions(replaced.text, "revoke"):
        last = await ann.do(address)
    assert len(actions((await ann.get(last)).text, "revoke")) == 40


async def test_a_form_on_the_second_page_of_members_returns_there(ann: Visitor, database: Database) -> None:
    at = await team(ann)
    add_members(database, at, 45)
    for path in (f"{at.project}/members", f"{at.organization}/members"):
        page = (await ann.get(f"{path}?from=40&pending=0")).text
        role = "editor" if path.startswith(at.project) else "admin"
        assert await ann.do(actions(page, "role")[-1], {"role": role}) == f"{path}?from=40&pending=0&done=role-changed"
        assert await ann.do(actions(page, "remove")[-1]) == f"{path}?from=40&pending=0&done=member-removed"
        await ann.do(path, {"email": "new@example.com", "role": "viewer" if role == "editor" else "member"})
        cancel = actions((await ann.get(f"{path}?from=40")).text, "cancel")[0]
        assert await ann.do(cancel) == f"{path}?from=40&done=invitation-canceled"


async def test_a_form_on_the_second_page_of_the_trash_returns_there(ann: Visitor) -> None:
    for memory_id in await ann.remember_all([f"Note {number:02}." for number in range(28)]):
        await ann.client.delete(f"/api/memories/{memory_id}", headers=ann.tenant.auth)
    older = html.unescape(
        re.findall(r'href="([^"]*/trash\?before=[^"]*)"', (await ann.get(f"{ann.project}/trash")).text)[0]
    )
    page = (await ann.get(older)).text
    assert await ann.do(actions(page, "delete")[0]) == f"{older}&done=erased"
    restored = await ann.get(await ann.do(actions(page, "restore")[1]))
    assert "Memory restored" in seen(restored)
    assert len(actions(restored.text, "restore")) == 1


async def test_undoing_a_deletion_returns_to_the_list(ann: Visitor) -> None:
    *_, newest = await ann.remember_all([f"Note {number:02}." for number in range(28)])
    for days in ("7", "0"):
        await ann.do(f"{ann.project}/change", {"name": "Brief", "trash_days": days})
        back = f"?before={newest}"
        page = (await ann.get(f"{ann.project}/memories{back}")).text
        send = ann.shown if days == "7" else ann.post
        deleted = await send(actions(page, "delete")[0], {"back": back, "permanently": "1"})
        undo = {name: hidden(deleted, name) for name in ("back", "kept")}
        restored = await ann.do(actions(deleted.text, "restore")[0], undo)
        assert restored == f"{ann.project}/memories{back}&done=restored"


async def test_the_page_that_warns_of_a_permanent_merge_returns_to_the_older_ones(ann: Visitor) -> None:
    kept, twin, last = await ann.remember_all(["Same.", "Same.", "Another."])
    await ann.do(f"{ann.project}/change", {"name": "Brief", "trash_days": "0"})
    older = f"{ann.project}/similar?before={last}"
    (merge,) = actions((await ann.get(older)).text, "merge")
    warned = await ann.post(merge, {"keep": kept, "ids": [kept, twin]})
    assert f'href="{older}">Cancel' in warned.text
    done = await ann.do(actions(warned.text, "merge")[0], {"keep": kept, "ids": [kept, twin], "permanently": "1"})
    assert done == f"{older}&done=merged&count=1"


async def test_a_memory_that_was_opened_from_a_search_keeps_the_way_back_when_it_changes(ann: Visitor) -> None:
    query = "?q=window+seat&tags=trip"
    await ann.remember("Anna likes the window seat.", tags="trip")
    listed = await ann.get(f"{ann.project}/memories{query}")
    links = {html.unescape(one) for one in re.findall(r'href="(/dashboard/memories/mem_[^"]+)"', listed.text)}
    way_back = f'href="{ann.project}/memories{html.escape(query)}"'
    assert len(links) == 2, "the memory, and its form"
    for link in links:
        opened = await ann.get(link)
        edit = [link] if "/edit" in link else re.findall(r'href="([^"]*/edit[^"]*)"', opened.text)
        form = await ann.get(html.unescape(edit[0]))
        canceled = html.unescape(re.findall(r'href="([^"]*)">Cancel', form.text)[0])
        assert way_back in (await ann.get(canceled)).text
        saved = await ann.do(actions(form.text, "edit")[0], {"text": f"{len(edit[0])} seats."})
        assert way_back in (await ann.get(saved)).text
        for ending, fields in (("pin", {"pinned": "1"}), ("restore", {"version": "1"})):
            changed = await ann.do(actions((await ann.get(saved)).text, ending)[0], fields)
            assert way_back in (await ann.get(changed)).text, ending
