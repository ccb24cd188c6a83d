"""The choices on the consent page: a project, and that an application may only read although it asks for more."""

import httpx
import pytest

from server.models import ProjectRole
from server.storage.database import Database
from tests.oauth.test_pages import share
from tests.oauth.test_resource_server import ADD, JSON_RPC, LIST
from tests.support.flows import EVERYDAY, App, Person, Tokens, answer_of, bearer, error_of, form_of, is_page, tokens_of
from tests.support.visitors import seen

READ = "memories:read"
READING_TOOLS = ["search", "fetch", "list_memories", "context"]
LAST_TIME = "you let it only read"


async def connect(app: App, person: Person, access: str, **asked: str) -> Tokens:
    """Run the whole flow with this choice on the page, which must offer it."""
    page = await person.open(app.request(**asked))
    assert access in form_of(page).options["access"]
    return tokens_of(await app.redeem(answer_of(await person.decide(page, access=access))["code"]))


async def tools(app: App, token: str) -> list[str]:
    answer = await app.http.post("/mcp", json=LIST, headers=JSON_RPC | bearer(token))
    return [tool["name"] for tool in answer.json()["result"]["tools"]]


async def scopes_of_connections(person: Person) -> list[list[str]]:
    """Newest first."""
    listed: httpx.Response = await person.browser.get("/api/connections")
    return [one["scopes"] for one in listed.json()["connections"]]


async def test_an_application_that_asks_for_more_may_be_let_only_read(notes: App, ann: Person) -> None:
    tokens = await connect(notes, ann, "read")
    assert tokens.scope == READ
    assert await tools(notes, tokens.access) == READING_TOOLS
    refused = await notes.http.post("/mcp", json=ADD, headers=JSON_RPC | bearer(tokens.access))
    assert refused.status_code == 403
    assert f'scope="{EVERYDAY}"' in refused.headers["www-authenticate"]
    assert await scopes_of_connections(ann) == [[READ]]
    assert "Can only read" in seen(await ann.browser.get("/dashboard/connections"))


async def test_a_refresh_keeps_the_choice(notes: App, ann: Person) -> None:
    tokens = await connect(notes, ann, "read")
    again = tokens_of(await notes.refresh(tokens.refresh))
    assert again.scope == READ
    assert await tools(notes, again.access) == READING_TOOLS
    assert error_of(await notes.refresh(again.refresh, scope=EVERYDAY)) == "invalid_scope"


async def test_what_is_asked_for_is_chosen_at_first(notes: App, ann: Person) -> None:
    page = await ann.open(notes.request())
    assert form_of(page).fields["access"] == "write"
    assert form_of(page).options["access"] == ["write", "read"]
    assert "Can read and save memories" in page.text
    assert "Can only read memories" in page.text
    assert LAST_TIME not in page.text
    assert (await notes.connect(ann)).scope == EVERYDAY
    assert "Can read and save" in seen(await ann.browser.get("/dashboard/connections"))


async def test_the_last_choice_is_shown_and_is_changed_only_by_the_person(notes: App, ann: Person) -> None:
    first = await connect(notes, ann, "read")
    page = await ann.open(notes.request())
    assert form_of(page).fields["access"] == "read"
    assert LAST_TIME in page.text
    assert tokens_of(await notes.redeem(answer_of(await ann.decide(page))["code"])).scope == READ
    stepped_up = await connect(notes, ann, "write")
    assert stepped_up.scope == EVERYDAY
    assert "add_memory" in await tools(notes, stepped_up.access)
    assert await tools(notes, first.access) == READING_TOOLS
    later = await ann.open(notes.request())
    assert form_of(later).fields["access"] == "write"
    assert LAST_TIME not in later.text


async def test_a_request_to_read_forgets_no_choice(notes: App, ann: Person) -> None:
    await connect(notes, ann, "read")
    asked = await ann.open(notes.request(scope=READ))
    assert "access" not in form_of(asked).options
    assert tokens_of(await notes.redeem(answer_of(await ann.decide(asked))["code"])).scope == READ
    assert form_of(await ann.open(notes.request())).fields["access"] == "read"


async def test_the_choice_is_one_persons_for_one_application(
    notes: App, backend: App, ann: Person, ben: Person
) -> None:
    await connect(notes, ann, "read")
    assert form_of(await ann.open(backend.request())).fields["access"] == "write"
    assert form_of(await ben.open(notes.request())).fields["access"] == "write"


async def test_a_limit_of_the_role_is_no_choice(notes: App, ann: Person, ben: Person, database: Database) -> None:
    """A viewer who becomes an editor steps up and submits the form unchanged."""
    share(database, ann, ben, ProjectRole.VIEWER)
    assert (await notes.connect(ben, ann.project_id)).scope == READ
    assert form_of(await ben.open(notes.request())).fields["access"] == "write"


async def test_a_form_without_the_choice_grants_what_was_asked(notes: App, ann: Person) -> None:
    page = await ann.open(notes.request())
    form = form_of(page)
    sent = {"proof": form.fields["proof"], "decision": "allow", "project_id": ann.project_id}
    code = answer_of(await ann.browser.post(form.action, data=sent))["code"]
    assert tokens_of(await notes.redeem(code)).scope == EVERYDAY


async def test_the_choice_cannot_enlarge_a_request(notes: App, ann: Person) -> None:
    page = await ann.open(notes.request(scope=READ))
    code = answer_of(await ann.decide(page, access="write"))["code"]
    assert tokens_of(await notes.redeem(code)).scope == READ


@pytest.mark.parametrize("access", ["all", "READ"])
async def test_an_unknown_choice_grants_nothing(notes: App, ann: Person, access: str) -> None:
    assert is_page(await ann.decide(await ann.open(notes.request()), access=access))
    assert await scopes_of_connections(ann) == []


async def test_projects_are_listed_by_name_in_any_case(notes: App, ann: Person) -> None:
    await ann.sign_in()
    for name in ("zebra", "Apple", "mango"):
        body = {"name": name, "organization_id": ann.organization_id}
        assert (await ann.browser.post("/api/projects", json=body)).status_code == 200
    page = (await ann.open(notes.request())).text
    assert sorted(("Apple", "mango", "My Memories", "zebra"), key=page.index) == [
        "Apple",
        "mango",
        "My Memories",
        "zebra",
    ]
