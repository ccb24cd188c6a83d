"""Passkeys and other factors: passkeys need no code, confirm sensitive changes, and end with the first proof."""

from datetime import timedelta

import httpx
import pytest
import sqlalchemy as sa

from server.storage.database import Database
from tests.dashboard.test_keys_and_account import KEY
from tests.dashboard.test_passkeys import PASSKEYS, add, new_passkey, sign_in_with
from tests.dashboard.test_step_up import age, project_of
from tests.support.browsers import fresh, sign_up
from tests.support.passkeys import Passkey, options_of
from tests.support.two_factor import confirm, is_signed_in, reset_link, set_up
from tests.support.visitors import seen

FORM = {"name": "Laptop", "permission": "read", "expires_in_days": "30"}


@pytest.fixture
async def passkey(client: httpx.AsyncClient) -> Passkey:
    """A passkey of the account in the browser `client`."""
    await sign_up(client)
    passkey = new_passkey()
    assert (await add(client, passkey)).status_code == 303
    return passkey


async def test_a_passkey_stands_for_both_factors(client: httpx.AsyncClient, passkey: Passkey) -> None:
    await set_up(client)
    browser = fresh(client)
    answer = await sign_in_with(browser, passkey)
    assert answer.headers["location"] == "/dashboard"
    assert await is_signed_in(browser)


async def test_a_passkey_proves_a_sensitive_change(
    client: httpx.AsyncClient, passkey: Passkey, database: Database
) -> None:
    age(database, timedelta(minutes=11))
    path = f"{await project_of(client)}/keys"
    asked = await client.post(path, data=FORM)
    assert (asked.status_code, "Use a passkey" in seen(asked)) == (403, True)
    proof = {"proof_credential": passkey.used(options_of(asked))}
    created = await client.post(path, data=FORM | proof, follow_redirects=True)
    assert KEY.search(created.text), seen(created)
    age(database, timedelta(minutes=11))
    again = await client.post(path, data=FORM | proof)
    assert (again.status_code, KEY.search(again.text)) == (400, None)


async def test_a_passkey_of_somebody_else_proves_nothing(
    client: httpx.AsyncClient, passkey: Passkey, database: Database
) -> None:
    other = fresh(client)
    await sign_up(other, "ben@example.com")
    foreign = new_passkey()
    await add(other, foreign)
    age(database, timedelta(minutes=11))
    path = f"{await project_of(client)}/keys"
    for liar in (foreign, passkey.but(key=foreign.key)):
        asked = await client.post(path, data=FORM)
        refused = await client.post(path, data=FORM | {"proof_credential": liar.used(options_of(asked))})
        assert (refused.status_code, KEY.search(refused.text)) == (400, None)
    assert (await client.post(path, data=FORM | {"proof_credential": "x"})).status_code == 400


async def test_an_account_without_a_password_is_asked_for_its_passkey(
    client: httpx.AsyncClient, passkey: Passkey, database: Database
) -> None:
    with database.write() as session:
        session.execute(sa.text("UPDATE users SET password_hash = NULL"))
    age(database, None)
    asked = await client.post(f"{await project_of(client)}/keys", data=FORM)
    assert "Use a passkey" in seen(asked)
    assert "Set a password" not in seen(asked)


@pytest.mark.parametrize("is_first_proof", [True, False])
async def test_a_reset_ends_passkeys_only_if_it_is_the_first_proof_of_the_mailbox(
    client: httpx.AsyncClient, passkey: Passkey, database: Database, is_first_proof: bool
) -> None:
    """Somebody else may have added them before."""
    if not is_first_proof:
        confirm(database)
    await fresh(client).post(reset_link(database), data={"password": "another horse battery"})
    answer = await sign_in_with(fresh(client), passkey)
    assert answer.status_code == (401 if is_first_proof else 303)


async def test_adding_and_deleting_ask_who_is_there(
    client: httpx.AsyncClient, passkey: Passkey, database: Database
) -> None:
    age(database, None)
    assert (await add(client, new_passkey())).status_code == 403
    with database.read() as session:
        passkey_id = session.execute(sa.text("SELECT id FROM passkeys")).scalar_one()
    assert (await client.post(f"{PASSKEYS}/{passkey_id}/delete")).status_code == 403


async def test_a_passkey_proves_who_adds_another(
    client: httpx.AsyncClient, passkey: Passkey, database: Database
) -> None:
    age(database, timedelta(minutes=11))
    created = new_passkey().created(options_of(await client.get(PASSKEYS)))
    form = {"name": "Phone", "credential": created}
    asked = await client.post(PASSKEYS, data=form)
    added = await client.post(PASSKEYS, data=form | {"proof_credential": passkey.used(options_of(asked))})
    assert (asked.status_code, added.status_code) == (403, 303), seen(added)


async def test_each_proof_by_a_passkey_has_a_challenge_of_its_own(
    client: httpx.AsyncClient, passkey: Passkey, database: Database
) -> None:
    await set_up(client)
    age(database, timedelta(minutes=11))
    for path in ("two-factor/codes", "two-factor/off"):
        asked = await client.post(f"/dashboard/account/{path}")
        proof = {"proof_credential": passkey.used(options_of(asked))}
        assert (await client.post(f"/dashboard/account/{path}", data=proof)).status_code == 303, path
