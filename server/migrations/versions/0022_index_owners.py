"""Leases of the index's owners, the progress of builds, and what was erased from collections"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"

SHARDS = 8


def upgrade() -> None:
    owners = op.create_table(
        "index_owners",
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("holder", sa.String(), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("shard", name=op.f("pk_index_owners")),
    )
    op.bulk_insert(owners, [{"shard": shard, "fence": 0} for shard in range(SHARDS)])
    op.create_table(
        "index_workers",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_index_workers")),
    )
    op.add_column("project_indexes", sa.Column("building", sa.String(), nullable=False, server_default=""))
    op.add_column("project_indexes", sa.Column("building_mean", sa.LargeBinary(), nullable=True))
    op.add_column("project_indexes", sa.Column("built_to", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("project_indexes", sa.Column("erased", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("project_indexes", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    # Until now a deletion left the vector in the collection's files. A collection that holds such vectors is treated as
    # if all were deleted, so that it is rebuilt once. It stays in use until then.
    op.execute(
        "UPDATE project_indexes SET erased_at = ready_at, erased = "
        "(SELECT projects.removals FROM projects WHERE projects.id = project_indexes.project_id)"
    )
    op.execute(
        "UPDATE project_indexes SET removals = (SELECT projects.removals - projects.memory_count - 1 "
        "FROM projects WHERE projects.id = project_indexes.project_id) WHERE removals < erased"
    )


def downgrade() -> None:
    for name in ("erased_at", "erased", "built_to", "building_mean", "building"):
        op.drop_column("project_indexes", name)
    op.drop_table("index_workers")
    op.drop_table("index_owners")
