"""Organizations: names, owners, and what is deleted with them."""

import pytest

from tests.rest.conftest import Caller, said
from tests.support.tables import rows
from tests.support.team import Team

NOT_FOUND = {"detail": "Organization not found."}


async def new_organization(caller: Caller, name: str = "Lab") -> str:
    answer = await caller.post("/api/organizations", {"name": name})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["organization_id"])


async def test_the_creator_of_an_organization_owns_it(team: Team) -> None:
    organization_id = await new_organization(team["outsider"])
    seen = (await team["outsider"].get(f"/api/organizations/{organization_id}")).json()
    assert seen["role"] == "owner"
    assert seen["ownerId"] == team.ids["outsider"]
    assert seen["type"] == "custom"
    assert seen["id"] == seen["_id"] == organization_id
    members = (await team["outsider"].get(f"/api/organizations/{organization_id}/members")).json()
    assert [(one["userId"], one["role"]) for one in members["members"]] == [(team.ids["outsider"], "owner")]
    assert members["total_count"] == 1


async def test_every_user_starts_with_a_personal_organization_and_a_project(team: Team) -> None:
    [personal] = (await team["outsider"].get("/api/organizations")).json()["organizations"]
    [project] = (await team["outsider"].get("/api/projects")).json()["projects"]
    assert personal["type"] == "personal"
    assert project["organizationId"] == personal["id"]
    assert project["role"] == "admin"


async def test_names_can_use_any_script(team: Team) -> None:
    names = ["Grüße", "हिन्दी टीम", "A&B", "O'Neill-Labs v1.2_x", "ab", "x" * 100]
    for name in names:
        await new_organization(team["outsider"], name)
    listed = (await team["outsider"].get("/api/organizations")).json()["organizations"]
    assert [organization["name"] for organization in listed[1:]] == names


@pytest.mark.sqlite_only
@rows(
    ("typed", "name"),
    [
        ("Anna’s Team", "Anna's Team"),
        ("Jean‑Luc – Labs", "Jean-Luc - Labs"),
        ("東京\u3000チーム", "東京 チーム"),
        ("Ann\u00a0Li", "Ann Li"),
        ("علی\u200cرضا", "علی\u200cرضا"),
        ("ක්\u200dෂ", "ක්\u200dෂ"),
        ('אורן בע"מ', "אורן בע״מ"),
        ("תל־אביב", "תל־אביב"),
        ("ジョン・スミス", "ジョン・スミス"),
        ("Col·legi", "Col·legi"),
    ],
)
async def test_names_can_be_typed_on_any_keyboard(team: Team, typed: str, name: str) -> None:
    await new_organization(team["outsider"], typed)
    listed = (await team["outsider"].get("/api/organizations")).json()["organizations"]
    assert listed[-1]["name"] == name
    same = await team["outsider"].post("/api/organizations", {"name": name.replace("\u200c", "").replace("\u200d", "")})
    assert same.status_code == 409


@pytest.mark.sqlite_only
async def test_other_names_are_refused_and_nothing_is_stored(team: Team) -> None:
    for name in (
        "",
        "a",
        " a ",
        "x" * 101,
        "a/b",
        "<b>bold</b>",
        "a\nb",
        "tab\tbed",
        "\u202eevil",
        "Te\u200cam",
        "\u200cعلی",
        7,
        None,
    ):
        answer = await team["outsider"].post("/api/organizations", {"name": name})
        assert answer.status_code == 400, name
        assert answer.json()["detail"].startswith("name: ")
    assert len((await team["outsider"].get("/api/organizations")).json()["organizations"]) == 1


async def test_names_are_unique_per_owner_without_case(team: Team) -> None:
    await new_organization(team["owner"], "Straße")
    for same in ("straße", "STRASSE", " Straße "):
        answer = await team["owner"].post("/api/organizations", {"name": same})
        assert answer.status_code == 409, same
    await new_organization(team["outsider"], "Straße")


async def test_an_organization_out_of_reach_answers_like_an_unknown_one(team: Team) -> None:
    for organization_id in (team.organization_id, "org_" + "0" * 32, "nonsense"):
        answer = await team["outsider"].get(f"/api/organizations/{organization_id}")
        assert (answer.status_code, answer.json()) == (404, NOT_FOUND)


async def test_a_transfer_makes_a_member_owner_and_the_old_owner_admin(team: Team) -> None:
    path = f"/api/organizations/{team.organization_id}"
    before = (await team["member"].get(f"{path}/members")).json()["members"]
    answer = await team["owner"].put(f"{path}/transfer-ownership", {"new_owner_id": team.ids["member"]})
    assert answer.status_code == 200
    members = (await team["member"].get(f"{path}/members")).json()["members"]
    joined, joined_before = ({one["userId"]: one["joinedAt"] for one in listed} for listed in (members, before))
    assert joined == joined_before
    roles = {one["userId"]: one["role"] for one in members}
    assert members[0]["userId"] == team.ids["member"]
    assert roles[team.ids["member"]] == "owner"
    assert roles[team.ids["owner"]] == "admin"
    assert list(roles.values()).count("owner") == 1
    assert (await team["owner"].delete(path)).status_code == 403
    notifications = (await team["member"].get("/api/notifications")).json()["notifications"]
    assert [one["type"] for one in notifications] == ["ownership_transferred"]


async def test_ownership_can_be_transferred_only_to_a_member(team: Team) -> None:
    path = f"/api/organizations/{team.organization_id}/transfer-ownership"
    stranger = await team["owner"].put(path, {"new_owner_id": team.ids["outsider"]})
    nobody = await team["owner"].put(path, {"new_owner_id": "user_" + "0" * 32})
    assert (stranger.status_code, stranger.json()) == (nobody.status_code, nobody.json())
    assert stranger.status_code == 404
    assert (await team["owner"].put(path, {"new_owner_id": team.ids["owner"]})).status_code == 409
    assert (await team["owner"].put(path, {})).status_code == 400


async def test_a_transfer_cannot_give_an_owner_two_organizations_of_one_name(team: Team) -> None:
    await new_organization(team["member"], "acme")
    path = f"/api/organizations/{team.organization_id}"
    answer = await team["owner"].put(f"{path}/transfer-ownership", {"new_owner_id": team.ids["member"]})
    assert answer.status_code == 409
    assert (await team["owner"].get(path)).json()["role"] == "owner"


async def test_a_personal_organization_cannot_be_deleted_or_transferred(team: Team) -> None:
    [personal] = (await team["outsider"].get("/api/organizations")).json()["organizations"]
    path = f"/api/organizations/{personal['id']}"
    assert (await team["outsider"].delete(path)).status_code == 409
    moved = await team["outsider"].put(f"{path}/transfer-ownership", {"new_owner_id": team.ids["owner"]})
    assert moved.status_code == 409


async def test_deleting_an_organization_deletes_and_counts_everything_in_it(team: Team) -> None:
    memory = await team["editor"].post(f"/api/memories?project_id={team.project_id}", said("I like tea."))
    path = f"/api/organizations/{team.organization_id}"
    invited = await team["owner"].post(f"{path}/invitations", {"email": "n@example.com", "role": "member"})
    answer = await team["owner"].delete(path)
    assert answer.status_code == 200
    assert answer.json()["cascades"] == {
        "projects": 1, "members": 7, "invitations": 1, "api_keys": 2, "grants": 2, "memories": 1,
    }  # fmt: skip
    assert (await team["owner"].get(path)).status_code == 404
    assert (await team["editor"].get(f"/api/projects/{team.project_id}")).status_code == 404
    assert (await team["editor"].get(f"/api/memories/{memory.json()['memory_id']}")).status_code in (400, 404)
    assert (await team["write_key"].get("/api/memories")).status_code == 401
    assert (await team["anonymous"].get(f"/api/invitations/{invited.json()['token']}")).status_code == 404


@pytest.mark.sqlite_only
async def test_r12_fields_that_the_caller_may_not_set_are_ignored(team: Team) -> None:
    body = {
        "name": "Mine", "owner_id": team.ids["owner"], "ownerId": team.ids["owner"], "type": "personal",
        "id": "org_x", "created_at": "2001-01-01T00:00:00Z", "role": "member",
    }  # fmt: skip
    organization_id = (await team["outsider"].post("/api/organizations", body)).json()["organization_id"]
    seen = (await team["outsider"].get(f"/api/organizations/{organization_id}")).json()
    assert seen["ownerId"] == team.ids["outsider"]
    assert seen["type"] == "custom"
    assert seen["id"] != "org_x"
    assert not seen["createdAt"].startswith("2001")


async def test_the_audit_trail_lists_changes_newest_first(team: Team) -> None:
    path = f"/api/organizations/{team.organization_id}"
    await team["owner"].put(f"{path}/members/{team.ids['target']}", {"role": "admin"})
    await team["admin"].delete(f"{path}/members/{team.ids['editor']}")
    events = (await team["admin"].get(f"{path}/audit")).json()["events"]
    assert [(event["type"], event["actor_id"], event["target"]) for event in events] == [
        ("member.removed", team.ids["admin"], team.ids["editor"]),
        ("member.role_changed", team.ids["owner"], team.ids["target"]),
    ]
    assert events[1]["metadata"] == {"from": "member", "to": "admin"}
    older = (await team["admin"].get(f"{path}/audit?before={events[0]['id']}&limit=1")).json()["events"]
    assert older == events[1:]
    assert (await team["admin"].get(f"{path}/audit?limit=0")).status_code == 400
