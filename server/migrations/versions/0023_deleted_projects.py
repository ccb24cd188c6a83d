"""Projects without an organization: deleted ones, whose rows are removed later"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    with op.batch_alter_table("projects") as table:
        table.alter_column("organization_id", existing_type=sa.String(), nullable=True)


def downgrade() -> None:
    """Remove deleted projects. SQLite keeps the column as it is, since it cannot rebuild a table that others refer to
    while foreign keys are on."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    if is_sqlite:
        op.execute(
            "DELETE FROM memory_words WHERE rowid IN (SELECT memories.number FROM memories"
            " JOIN projects ON projects.id = memories.project_id WHERE projects.organization_id IS NULL)"
        )
    op.execute("DELETE FROM projects WHERE organization_id IS NULL")
    if not is_sqlite:
        op.alter_column("projects", "organization_id", existing_type=sa.String(), nullable=False)
