"""A version keeps only what a change replaced: a text or metadata that is null is the same as in the next version"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_KEPT: dict[str, type[sa.Text] | type[sa.JSON]] = {"content": sa.Text, "metadata": sa.JSON}
_FILL = """
    UPDATE memory_versions SET COLUMN = coalesce(
        (SELECT later.COLUMN FROM memory_versions AS later
         WHERE later.memory_number = memory_versions.memory_number AND later.version > memory_versions.version
         AND later.COLUMN IS NOT NULL ORDER BY later.version LIMIT 1),
        (SELECT memories.COLUMN FROM memories WHERE memories.number = memory_versions.memory_number)
    ) WHERE COLUMN IS NULL
"""


def upgrade() -> None:
    # SQLite copies the table. No other table refers to it, so dropping the old one deletes nothing else.
    with op.batch_alter_table("memory_versions") as table:
        for name, kind in _KEPT.items():
            table.alter_column(name, existing_type=kind, nullable=True)


def downgrade() -> None:
    for name in _KEPT:
        op.execute(_FILL.replace("COLUMN", name))
    with op.batch_alter_table("memory_versions") as table:
        for name, kind in _KEPT.items():
            table.alter_column(name, existing_type=kind, nullable=False)
