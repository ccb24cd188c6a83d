"""Projects, organizations and keys can be renamed. The home page is the project that was used last."""

import re

from tests.conftest import ORIGIN
from tests.support.visitors import Visitor


async def make(ann: Visitor, path: str, **body: object) -> str:
    created = await ann.client.post(f"/api/{path}", json=body, headers={"Origin": ORIGIN})
    assert created.status_code == 200, created.text
    return str(created.json()["id"])


async def test_a_project_is_renamed_and_keeps_deleted_memories_as_long_as_it_says(ann: Visitor) -> None:
    fields = {"name": "Household", "trash_days": "30"}
    assert await ann.do(f"{ann.project}/change", fields) == f"{ann.project}/settings?done=project-saved"
    page = await ann.get(f"{ann.project}/settings")
    assert 'value="Household"' in page.text
    assert re.search(r'<option value="30" selected>', page.text)
    for wrong in ({"name": "x"}, {"trash_days": "31"}):
        assert (await ann.post(f"{ann.project}/change", {**fields, **wrong})).status_code == 400
    await ann.do(f"{ann.project}/change", {**fields, "trash_days": ""})
    stored = await ann.client.get(f"/api{ann.project.removeprefix('/dashboard')}")
    assert stored.json()["name"] == "Household"


async def test_a_project_keeps_days_that_the_form_does_not_offer(ann: Visitor) -> None:
    for days, label in ((14, "14 days"), (1, "1 day"), (30, "30 days")):
        await ann.client.patch(
            f"/api{ann.project.removeprefix('/dashboard')}", json={"trash_days": days}, headers={"Origin": ORIGIN}
        )
        page = await ann.get(f"{ann.project}/settings")
        assert f'<option value="{days}" selected>{label}</option>' in page.text
        await ann.do(f"{ann.project}/change", {"name": "Household", "trash_days": str(days)})


async def test_a_key_is_renamed(ann: Visitor) -> None:
    page = await ann.get(f"{ann.project}/keys")
    rename = re.search(r'action="([^"]+/rename)"', page.text)
    assert rename
    await ann.do(rename[1], {"name": "Work laptop"})
    assert "Work laptop" in await ann.see(f"{ann.project}/keys")
    assert (await ann.post(rename[1], {"name": " "})).status_code == 400


async def test_an_organization_is_renamed(ann: Visitor) -> None:
    organization = f"/dashboard/organizations/{await make(ann, 'organizations', name='Orchard')}"
    await ann.do(f"{organization}/rename", {"name": "Orchard & Co"})
    assert "Orchard & Co" in await ann.see(organization)


async def test_viewers_rename_nothing(ann: Visitor, viewer: Visitor) -> None:
    rename = re.search(r'action="([^"]+/rename)"', (await ann.get(f"{ann.project}/keys")).text)
    assert rename
    assert (await viewer.post(rename[1], {"name": "Mine"})).status_code == 404
    assert (await viewer.post(f"{ann.project}/change", {"name": "Mine", "trash_days": "0"})).status_code == 403
    assert (await viewer.post(f"{ann.organization}/rename", {"name": "Mine"})).status_code == 403
    assert "/change" not in (await viewer.get(f"{ann.project}/settings")).text


async def test_home_is_the_project_used_last_else_the_fullest(ann: Visitor) -> None:
    empty = await make(ann, "projects", name="Aardvark", organization_id=ann.tenant.organization_id)
    await ann.remember("Anna likes the window seat.")
    assert (await ann.get("/dashboard")).headers["location"] == ann.project
    await ann.see(f"/dashboard/projects/{empty}")
    assert (await ann.get("/dashboard")).headers["location"] == f"/dashboard/projects/{empty}"


async def test_a_deletion_is_confirmed_by_the_name_as_a_phone_or_a_mac_writes_it(ann: Visitor) -> None:
    await ann.do(f"{ann.project}/change", {"name": "Ann's café", "trash_days": ""})
    refused = await ann.post(f"{ann.project}/delete-memories", {"confirm": "ann's café"})
    assert refused.status_code == 400
    await ann.do(f"{ann.project}/delete-memories", {"confirm": " Ann\u2019s cafe\u0301 "})
