"""A read transaction sees one snapshot, while others write."""

import sqlalchemy as sa

from server.domain.people import users
from server.models import User
from server.settings import Settings
from server.storage.database import Database


def test_a_read_sees_one_snapshot(settings: Settings) -> None:
    database = Database(settings.database_url.get_secret_value(), connections=2)
    count = sa.select(sa.func.count()).select_from(User)
    with database.read() as reading:
        assert reading.execute(count).scalar_one() == 0
        with database.write() as writing:
            users.register(writing, "ann@example.com", "", None)
        assert reading.execute(count).scalar_one() == 0
    with database.read() as reading:
        assert reading.execute(count).scalar_one() == 1
    database.close()
