"""Memories that are pinned, and memories that expire"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("memories", sa.Column("pinned", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("memories", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    expires = sa.text("expires_at IS NOT NULL")
    op.create_index(
        "ix_memories_expiry", "memories", ["expires_at", "project_id"], sqlite_where=expires, postgresql_where=expires
    )
    op.create_index(
        "ix_memories_pinned",
        "memories",
        ["project_id", "id"],
        sqlite_where=sa.text("pinned = 1"),
        postgresql_where=sa.text("pinned"),
    )
    op.add_column("memory_versions", sa.Column("pinned", sa.Boolean(), nullable=True))
    op.add_column("memory_versions", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("memory_versions", "expires_at")
    op.drop_column("memory_versions", "pinned")
    op.drop_index("ix_memories_pinned", "memories")
    op.drop_index("ix_memories_expiry", "memories")
    op.drop_column("memories", "expires_at")
    op.drop_column("memories", "pinned")
