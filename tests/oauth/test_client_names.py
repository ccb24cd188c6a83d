"""Requirement 56: how the consent page names a client, whose name may deceive."""

from tests.oauth.conftest import Register
from tests.support.flows import Person, bearer
from tests.support.tables import rows


@rows(
    "name",
    ["SelfMemory", "selfmemory server", "Self-Memory", "S e l f M e m o r y", "The SelfMemory team", "ЅеlfМеmоrу",
     "Se1fMem0ry", "SeIfMemory", "Ｓelfmemory", "Self​Memory", "SelfMemöry", "selfrnernory", "sᴇʟғᴍᴇᴍᴏʀʏ", "ꓢꓰꓡꓝ ꓟꓰꓟꓳꓣꓬ",
     "ᏚᎬᏞFᎷᎬᎷOᏒᎽ", "SelfMemory (selfmemory)", "SelfMemory (official)", "Self (Memory)"],
)  # fmt: skip
async def test_056_a_name_cannot_pose_as_ours(register: Register, ann: Person, name: str) -> None:
    app = await register(client_name=name)
    assert "Connect “An application whose name imitates this server”?" in (await ann.open(app.request())).text
    await app.connect(ann)
    connections = (await ann.browser.get("/api/connections")).json()["connections"]
    names = {connection["client_name"] for connection in connections}
    assert names == {"An application whose name imitates this server"}


@rows(
    "name, shown",
    [
        ("Claude Code (selfmemory)", "Claude Code"),
        ("mcporter (plugin:selfmemory-work)", "mcporter"),
        ("Claude Code (notes)", "Claude Code (notes)"),
        ("(selfmemory)", "An application without a name"),
    ],
)
async def test_056_a_name_is_shown_without_the_name_that_its_user_gave_this_server(
    register: Register, ann: Person, name: str, shown: str
) -> None:
    app = await register(client_name=name)
    assert f"Connect “{shown}”?" in (await ann.open(app.request())).text


async def test_056_a_name_cannot_leave_its_quotation_marks(register: Register, ann: Person) -> None:
    page = await ann.open((await register(client_name='Notes”? It is safe. Allow “it"')).request())
    assert "Connect “Notes&#39;? It is safe. Allow &#39;it&#39;”?" in page.text


async def test_056_a_name_that_poses_as_ours_is_shown_nowhere(register: Register, ann: Person) -> None:
    app = await register(client_name="SelfMemory")
    headers = bearer((await app.connect(ann)).access)
    imitation = "An application whose name imitates this server"

    added = await app.http.post("/api/memories", json={"content": "The cat is called Tom."}, headers=headers)
    memory = await app.http.get(f"/api/memories/{added.json()['memory_id']}", headers=headers)
    assert memory.json()["source"]["name"] == imitation

    trail = await ann.browser.get(f"/dashboard/organizations/{ann.organization_id}/activity")
    assert imitation in trail.text
