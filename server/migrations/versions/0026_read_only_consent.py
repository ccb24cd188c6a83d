"""Whether a person chose at consent that an application may only read"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

TABLES = ("oauth_codes", "oauth_grants")


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("is_read_only", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    for table in TABLES:
        op.drop_column(table, "is_read_only")
