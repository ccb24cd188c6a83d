"""Links that change the address of an account: the new address waits with the link"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"

PURPOSE = op.f("ck_mailed_tokens_purpose")


def upgrade() -> None:
    _allow("purpose IN ('verify', 'reset', 'change')")
    op.add_column("mailed_tokens", sa.Column("address", sa.String(), nullable=True))


def downgrade() -> None:
    op.execute(sa.text("DELETE FROM mailed_tokens WHERE purpose = 'change'"))
    op.drop_column("mailed_tokens", "address")
    _allow("purpose IN ('verify', 'reset')")


def _allow(purposes: str) -> None:
    with op.batch_alter_table("mailed_tokens") as table:
        table.drop_constraint(PURPOSE, type_="check")
        table.create_check_constraint(PURPOSE, purposes)
