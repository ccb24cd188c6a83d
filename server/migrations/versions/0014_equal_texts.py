"""An index that finds equal texts in a project."""

from alembic import op

revision = "0014"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_memories_content_hash", "memories", ["project_id", "content_hash"])


def downgrade() -> None:
    op.drop_index("ix_memories_content_hash", "memories")
