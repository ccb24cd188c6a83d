"""The bytes that each project holds, and what imports have staged"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_SIZE = {
    "sqlite": "length(CAST(content AS BLOB)) + length(CAST(metadata AS BLOB))"
    " + coalesce(length(CAST(nullif(messages, 'null') AS BLOB)), 0)",
    "postgresql": "octet_length(content) + octet_length(CAST(metadata AS TEXT))"
    " + coalesce(octet_length(nullif(CAST(messages AS TEXT), 'null')), 0)",
}


def upgrade() -> None:
    op.add_column("projects", sa.Column("memory_bytes", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("imports", sa.Column("created_by", sa.String(), nullable=True))
    op.add_column("imports", sa.Column("memory_count", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("imports", sa.Column("memory_bytes", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("staged_memories", sa.Column("memory_id", sa.String(), nullable=True))
    # One pass over the memories. Postgres knows the length of a long text without reading it.
    size = _SIZE[op.get_bind().dialect.name]
    op.execute(
        f"UPDATE projects SET memory_bytes = held.size"  # noqa: S608 - a constant
        f" FROM (SELECT project_id, sum({size}) AS size FROM memories GROUP BY project_id) AS held"
        " WHERE held.project_id = projects.id"
    )
    op.execute(
        "UPDATE imports SET memory_count ="
        " (SELECT count(*) FROM staged_memories WHERE staged_memories.import_id = imports.id)"
    )


def downgrade() -> None:
    op.drop_column("staged_memories", "memory_id")
    op.drop_column("imports", "memory_bytes")
    op.drop_column("imports", "memory_count")
    op.drop_column("imports", "created_by")
    op.drop_column("projects", "memory_bytes")
