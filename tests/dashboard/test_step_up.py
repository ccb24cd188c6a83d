"""Step-up: sensitive forms ask for the password or a code, unless the session was proved in the last ten minutes."""

from datetime import timedelta

import httpx
import pytest
import sqlalchemy as sa

from server.app import create_app
from server.dashboard import step_up
from server.dashboard.routes import PAGES
from server.models import BrowserSession, User
from server.models.base import now
from server.settings import Settings
from server.storage.database import Database
from tests.dashboard.test_keys_and_account import KEY
from tests.support.browsers import PASSWORD, browser_at, fresh, sign_in, sign_up
from tests.support.fakes import WordEmbedder
from tests.support.started import running
from tests.support.two_factor import set_up
from tests.support.visitors import Visitor, hidden, seen

MEANT = "Confirm that it’s you"
SENSITIVE = {
    "/dashboard/projects/{project_id}/connect",
    "/dashboard/projects/{project_id}/keys",
    "/dashboard/projects/{project_id}/keys/{key_id}/replace",
    "/dashboard/projects/{project_id}/delete",
    "/dashboard/organizations/{organization_id}/transfer",
    "/dashboard/organizations/{organization_id}/delete",
    "/dashboard/account/delete",
    "/dashboard/account/email",
    "/dashboard/account/two-factor",
    "/dashboard/account/two-factor/on",
    "/dashboard/account/two-factor/codes",
    "/dashboard/account/passkeys",
    "/dashboard/account/passkeys/{passkey_id}/delete",
}


def age(database: Database, verified_ago: timedelta | None) -> None:
    """Let the time since every session was proved be `verified_ago`; None: they are from before there was a proof."""
    with database.write() as session:
        verified_at = None if verified_ago is None else now() - verified_ago
        session.execute(sa.update(BrowserSession).values(verified_at=verified_at))


@pytest.fixture
async def ann(client: httpx.AsyncClient, database: Database) -> httpx.AsyncClient:
    """A browser that was signed in with a password eleven minutes ago."""
    await sign_up(client)
    age(database, timedelta(minutes=11))
    return client


async def project_of(client: httpx.AsyncClient) -> str:
    [project] = (await client.get("/api/projects")).json()["projects"]
    return f"/dashboard/projects/{project['id']}"


def test_these_forms_ask_again() -> None:
    assert {path for path, page in PAGES.items() if page.guard is step_up.unless_recent} == SENSITIVE
    assert [path for path, page in PAGES.items() if page.guard is step_up.always] == [
        "/dashboard/account/two-factor/off"
    ]


@pytest.mark.parametrize("verified_ago", [timedelta(minutes=10), None], ids=["ten minutes ago", "never"])
async def test_every_sensitive_form_asks_and_changes_nothing(
    ann: httpx.AsyncClient, database: Database, verified_ago: timedelta | None
) -> None:
    age(database, verified_ago)
    project = await project_of(ann)
    [organization] = (await ann.get("/api/organizations")).json()["organizations"]
    ids = {
        "project_id": project.rpartition("/")[2],
        "organization_id": organization["id"],
        "passkey_id": "x",
        "key_id": "x",
    }
    for path in SENSITIVE:
        answer = await ann.post(path.format(**ids), data={"confirm": "My Memories", "name": "Laptop"})
        assert (answer.status_code, MEANT in seen(answer)) == (403, True), path
    assert (await ann.get(f"/api/projects/{ids['project_id']}/api-keys")).json()["total"] == 0
    assert (await ann.get("/api/users/me")).status_code == 200


async def test_right_after_the_proof_the_form_does_what_it_meant(ann: httpx.AsyncClient) -> None:
    path = f"{await project_of(ann)}/keys"
    asked = await ann.post(path, data={"name": 'A "key"', "permission": "read", "expires_in_days": "30"})
    assert f'action="{path}"' in asked.text
    again = {name: hidden(asked, name) for name in ("name", "permission", "expires_in_days")}
    assert again["name"] == 'A "key"'
    wrong = await ann.post(path, data=again | {"proof_password": "wrong"})
    assert (wrong.status_code, KEY.search(wrong.text)) == (400, None)
    assert "wrong" not in wrong.text.replace("wrong codes", "")
    created = await ann.post(path, data=again | {"proof_password": PASSWORD}, follow_redirects=True)
    assert (created.status_code, KEY.search(created.text) is not None) == (200, True)
    once_more = await ann.post(path, data=again, follow_redirects=True)
    assert KEY.search(once_more.text)


async def test_a_proof_counts_in_its_own_session_alone(ann: httpx.AsyncClient, database: Database) -> None:
    async with fresh(ann) as elsewhere:
        await sign_in(elsewhere)
        form = {"name": "Laptop", "permission": "read", "expires_in_days": "30"}
        path = f"{await project_of(ann)}/keys"
        assert KEY.search((await elsewhere.post(path, data=form, follow_redirects=True)).text)  # it signed in just now
        assert (await ann.post(path, data=form)).status_code == 403


async def test_a_code_of_the_app_will_do_and_counts_once(ann: httpx.AsyncClient, database: Database) -> None:
    age(database, timedelta(0))
    enrolled = await set_up(ann)
    age(database, timedelta(minutes=11))
    path, form = f"{await project_of(ann)}/delete", {"confirm": "My Memories"}
    assert "Or a code" in seen(await ann.post(path, data=form))
    code = enrolled.app.code()
    assert (await ann.post(path, data=form | {"proof_code": enrolled.app.wrong()})).status_code == 400
    assert (await ann.post(path, data={"confirm": "another", "proof_code": code})).status_code == 400
    age(database, timedelta(minutes=11))
    assert (await ann.post(path, data=form | {"proof_code": code})).status_code == 400
    done = await ann.post(path, data=form | {"proof_code": enrolled.recovery_codes[0]})
    assert done.headers["location"] == "/dashboard?done=project-deleted"


async def test_an_account_with_nothing_to_prove_is_told_to_set_a_password(viewer: Visitor, database: Database) -> None:
    age(database, None)
    asked = await viewer.post(f"{viewer.project}/keys", {"name": "Laptop", "permission": "read"})
    assert asked.status_code == 403
    assert "Set a password first" in seen(asked)
    assert 'href="/forgot-password"' in asked.text
    guessed = await viewer.post(f"{viewer.project}/keys", {"name": "Laptop", "proof_password": "anything"})
    assert guessed.status_code == 400


async def test_a_foreign_project_looks_like_a_missing_one_before_the_proof_too(
    viewer: Visitor, ben: Visitor, database: Database
) -> None:
    age(database, None)
    for project_id in ("proj_nobody",):
        assert (await viewer.post(f"/dashboard/projects/{project_id}/delete")).status_code == 404


async def test_rest_asks_for_nothing_more(ann: httpx.AsyncClient) -> None:
    project_id = (await project_of(ann)).rpartition("/")[2]
    assert (await ann.delete(f"/api/projects/{project_id}")).status_code == 200


async def test_proofs_are_limited(settings: Settings, database: Database) -> None:
    limited = settings.model_copy(update={"rate_limit_enabled": True, "rate_limit_sign_in": "3/hour"})
    async with running(create_app(limited, lambda _settings: WordEmbedder())) as app, browser_at(app) as ann:
        await sign_up(ann)
        age(database, None)
        tries = [
            await ann.post("/dashboard/account/delete", data={"confirm": "x", "proof_password": password})
            for password in ("one", "two", "three", PASSWORD)
        ]
        assert [answer.status_code for answer in tries] == [400, 400, 400, 429]
        assert int(tries[-1].headers["retry-after"]) > 0
    with database.read() as session:
        assert session.execute(sa.select(sa.func.count()).select_from(User)).scalar_one() == 1
