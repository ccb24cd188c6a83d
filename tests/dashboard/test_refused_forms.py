"""A refused form keeps what was typed into it, and leaves the other forms of its page as they are."""

import re

from tests.conftest import ORIGIN
from tests.dashboard.test_people import team
from tests.support.visitors import Visitor


def field(page: str, name: str) -> str:
    """Return the value of the last field with this name."""
    return str(re.findall(rf'<input[^>]* name="{name}"[^>]* value="([^"]*)"', page)[-1])


def selected(page: str, name: str) -> str:
    """Return the chosen option of the last list with this name."""
    options = re.findall(rf'<select[^>]* name="{name}"[^>]*>(.*?)</select>', page)[-1]
    return str(re.findall(r'<option value="([^"]*)" selected>', options)[0])


def checked(page: str, name: str) -> list[str]:
    return re.findall(rf'name="{name}" value="([^"]*)" checked>', page)


async def test_a_refused_deletion_leaves_the_settings_of_the_project(ann: Visitor) -> None:
    await ann.do(f"{ann.project}/change", {"name": "Household", "trash_days": "30"})
    for form in ("delete", "delete-memories"):
        page = (await ann.post(f"{ann.project}/{form}", {"confirm": "something else"})).text
        assert (field(page, "name"), selected(page, "trash_days")) == ("Household", "30")


async def test_refused_settings_keep_what_was_chosen(ann: Visitor) -> None:
    page = (await ann.post(f"{ann.project}/change", {"name": "x", "trash_days": "90"})).text
    assert (field(page, "name"), selected(page, "trash_days")) == ("x", "90")


async def test_a_refused_name_of_a_person_stays_in_its_field(ann: Visitor) -> None:
    page = (await ann.post("/dashboard/account/name", {"name": "Ann\u2028Lee"})).text
    assert field(page, "name") == "Ann\u2028Lee"


async def test_a_refused_name_of_a_key_is_not_offered_for_a_new_one(ann: Visitor) -> None:
    rename = re.search(r'action="([^"]+/rename)"', (await ann.get(f"{ann.project}/keys")).text)
    assert rename
    page = (await ann.post(rename[1], {"name": "x" * 101})).text
    assert field(page, "name") == ""
    create = {"name": "x" * 101, "permission": "read", "expires_in_days": "90"}
    page = (await ann.post(f"{ann.project}/keys", create)).text
    assert (field(page, "name"), selected(page, "expires_in_days")) == ("x" * 101, "90")
    assert checked(page, "permission") == ["read"]


async def test_a_refused_invitation_keeps_its_role_and_projects(ann: Visitor) -> None:
    at_team = await team(ann)
    project_id = at_team.tenant.project_id
    fields = {"email": "nobody", "role": "admin", "project_role": "editor", "project_id": project_id}
    page = (await at_team.post(f"{at_team.organization}/members", fields)).text
    assert (field(page, "email"), selected(page, "role"), selected(page, "project_role")) == (
        "nobody", "admin", "editor",
    )  # fmt: skip
    assert checked(page, "project_id") == [project_id]


async def test_a_refused_change_of_a_role_is_not_offered_for_an_invitation(ann: Visitor) -> None:
    at_team = await team(ann)
    for page, usual in ((f"{at_team.project}/members", "viewer"), (f"{at_team.organization}/members", "member")):
        refused = await at_team.post(f"{page}/{ann.tenant.user_id}/role", {"role": "admin"})
        assert refused.status_code in (403, 409), refused.text
        assert selected(refused.text, "role") == usual


async def test_a_form_that_cannot_be_read_is_refused_on_its_page(ann: Visitor) -> None:
    two = [("file", ("a.txt", b"Tea.")), ("file", ("b.txt", b"Milk."))]
    for path, title in ((f"{ann.project}/transfer", "Import and export"), ("/dashboard/account/name", "Account")):
        answer = await ann.client.post(path, files=two, headers={"Origin": ORIGIN})
        assert answer.status_code == 400
        assert f"<h1>{title}</h1>" in answer.text
        assert "This form cannot be read. It may have at most " in answer.text


async def test_empty_fields_of_a_form_count_too(ann: Visitor) -> None:
    """Reading a form of a million empty fields would stop all requests for a while."""
    headers = {"Origin": ORIGIN, "Content-Type": "application/x-www-form-urlencoded"}
    for fields, is_unreadable in ((1_000, True), (999, False)):
        answer = await ann.client.post("/dashboard/organizations", content=b"&" * fields, headers=headers)
        assert answer.status_code == 400
        assert ("This form cannot be read. It may have at most 1,000 fields" in answer.text) is is_unreadable
    upload = await ann.client.post(f"{ann.project}/transfer", content=b"&" * 1_000, headers=headers)
    assert "Choose a file to import." in upload.text
