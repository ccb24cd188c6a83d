"""Find memories by their content, so that an import skips memories that already exist"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_index("ix_memories_content", "memories", ["project_id", "content_hash"])
    op.add_column("staged_memories", sa.Column("content_hash", sa.String(), nullable=False, server_default=""))
    op.create_index("ix_staged_memories_content", "staged_memories", ["import_id", "content_hash"])


def downgrade() -> None:
    op.drop_index("ix_staged_memories_content", "staged_memories")
    op.drop_column("staged_memories", "content_hash")
    op.drop_index("ix_memories_content", "memories")
