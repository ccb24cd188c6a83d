"""Browsers that are known to an account, letters to strangers, and the key that a waiting letter needs"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("users", sa.Column("browser_epoch", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("mails", sa.Column("key_id", sa.String(), nullable=True))
    op.create_table(
        "sent_letters",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("recipient_hash", sa.String(), nullable=False),
        sa.Column("sender_id", sa.String(), nullable=True),
        sa.Column("invitation_id", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('invitation', 'verification', 'reset')", name=op.f("ck_sent_letters_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sent_letters")),
    )
    op.create_index("ix_sent_letters_recipient", "sent_letters", ["recipient_hash", "created_at"])
    op.create_index("ix_sent_letters_sender", "sent_letters", ["sender_id", "created_at"])
    op.create_index(op.f("ix_sent_letters_created_at"), "sent_letters", ["created_at"])


def downgrade() -> None:
    op.drop_table("sent_letters")
    op.drop_column("mails", "key_id")
    op.drop_column("users", "browser_epoch")
