"""no stored requests from strangers; clients that register again; successors of refresh tokens"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.drop_index(op.f("ix_oauth_parked_requests_expires_at"), table_name="oauth_parked_requests")
    op.drop_table("oauth_parked_requests")
    op.add_column("oauth_clients", sa.Column("registration_hash", sa.String(), nullable=True))
    op.create_index(op.f("ix_oauth_clients_registration_hash"), "oauth_clients", ["registration_hash"], unique=True)
    op.add_column("oauth_refresh_tokens", sa.Column("successors", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("oauth_refresh_tokens", sa.Column("reused_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE oauth_refresh_tokens SET successors = 1 WHERE rotated_at IS NOT NULL")


def downgrade() -> None:
    op.drop_column("oauth_refresh_tokens", "reused_at")
    op.drop_column("oauth_refresh_tokens", "successors")
    op.drop_index(op.f("ix_oauth_clients_registration_hash"), table_name="oauth_clients")
    op.drop_column("oauth_clients", "registration_hash")
    op.create_table(
        "oauth_parked_requests",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("query", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth_parked_requests")),
    )
    op.create_index(op.f("ix_oauth_parked_requests_expires_at"), "oauth_parked_requests", ["expires_at"])
