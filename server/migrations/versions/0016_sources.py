"""The source of each memory and version, and when it was stored"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    for name in ("source_kind", "source_id", "source_name"):
        op.add_column("memories", sa.Column(name, sa.String(), nullable=True))
    op.add_column("memories", sa.Column("updated_source", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("memories", sa.Column("stored_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_memories_source", "memories", ["project_id", "source_kind", "source_id"])
    op.add_column("memory_versions", sa.Column("source", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("imports", sa.Column("source", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("imports", "source")
    op.drop_column("memory_versions", "source")
    op.drop_index("ix_memories_source", "memories")
    for name in ("stored_at", "updated_source", "source_name", "source_id", "source_kind"):
        op.drop_column("memories", name)
