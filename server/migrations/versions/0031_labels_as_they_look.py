"""Tags, people and categories in the form in which they are now compared"""

import sqlalchemy as sa
from alembic import op

from server.text import characters

revision = "0031"
down_revision = "0030"

_BYTES = {"sqlite": "length(CAST(value AS BLOB))", "postgresql": "octet_length(value)"}
_ADD = sa.text(
    "INSERT INTO labels (memory_number, kind, value, project_id)"
    " SELECT memory_number, kind, :new, project_id FROM labels"
    " WHERE project_id = :project AND kind = :kind AND value = :old ON CONFLICT DO NOTHING"
)
_REMOVE = sa.text("DELETE FROM labels WHERE project_id = :project AND kind = :kind AND value = :old")


def upgrade() -> None:
    """Convert `o’neil` to `o'neil`. Labels that fit into ASCII and hashes of long ones stay."""
    connection = op.get_bind()
    size = _BYTES[connection.dialect.name]
    labels = f"SELECT DISTINCT project_id, kind, value FROM labels WHERE kind <> 'metadata' AND {size} > length(value)"  # noqa: S608
    for project, kind, old in connection.execute(sa.text(labels)).all():
        new = characters.as_seen(old)
        if new != old:
            values = {"project": project, "kind": kind, "old": old}
            if new:
                connection.execute(_ADD, {**values, "new": new})
            connection.execute(_REMOVE, values)


def downgrade() -> None:
    """An earlier version finds the labels that are typed in this form."""
