"""Email addresses with their domain in letters, as the server now stores them"""

import sqlalchemy as sa
from alembic import op

from server.network import domain_names

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """Convert `ann@xn--mnchen-3ya.de`, which Chrome sent, to `ann@münchen.de`. The same address in both forms stays."""
    connection = op.get_bind()
    for table in ("users", "invitations"):
        rows = connection.execute(sa.text(f"SELECT id, email FROM {table} WHERE email LIKE '%xn--%'")).all()  # noqa: S608
        for row_id, email in rows:
            name, at, domain = email.rpartition("@")
            _change(connection, table, row_id, name + at + domain_names.in_letters(domain))


def _change(connection: sa.Connection, table: str, row_id: str, email: str) -> None:
    try:
        with connection.begin_nested():
            update = sa.text(f"UPDATE {table} SET email = :email WHERE id = :id")  # noqa: S608
            connection.execute(update, {"email": email, "id": row_id})
    except sa.exc.IntegrityError:
        return  # there is another account, or another pending invitation, with this address


def downgrade() -> None:
    """An earlier version reads such addresses too."""
