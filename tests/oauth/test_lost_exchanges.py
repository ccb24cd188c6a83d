"""On Postgres, an exchange of a code or token that loses to another transaction is tried again."""

import pytest

from server.storage.database import Database
from tests.support.flows import App, Person, tokens_of

LOSE_TWICE = """
CREATE SEQUENCE tries;
CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF nextval('tries') < 3 THEN RAISE EXCEPTION 'lost' USING ERRCODE = '40P01'; END IF; RETURN new; END $$;
CREATE TRIGGER faulty BEFORE INSERT ON oauth_access_tokens FOR EACH ROW EXECUTE FUNCTION lose();
"""


@pytest.mark.needs("postgres")
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_an_exchange_that_loses_to_others_is_tried_again(ann: Person, notes: App, database: Database) -> None:
    code = await ann.allow(notes.request())
    with database.engine.begin() as connection:
        connection.exec_driver_sql(LOSE_TWICE)
    answer = await notes.redeem(code)
    assert answer.status_code == 200, answer.text
    with database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER SEQUENCE tries RESTART")
    assert (await notes.refresh(tokens_of(answer).refresh)).status_code == 200
