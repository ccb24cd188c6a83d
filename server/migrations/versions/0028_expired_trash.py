"""Memories in the trash by their expiry, so that deleting the expired ones does not read the others"""

from alembic import op

from server.migrations import online

revision = "0028"
down_revision = "0027"

NAME = op.f("ix_trashed_memories_expires_at")


def upgrade() -> None:
    online.create_index(NAME, "trashed_memories", ["expires_at"])


def downgrade() -> None:
    op.drop_index(NAME, "trashed_memories")
