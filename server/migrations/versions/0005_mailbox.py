"""Proof of a mailbox, an audit trail per person, gathered notices; invitations end if their sender lost the right"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

OWN_EVENTS = "(type LIKE 'account.%' OR type IN ('access.denied', 'organization.deleted'))"
SENDER_MAY_NOT = """
    status = 'pending'
    AND NOT EXISTS (SELECT 1 FROM organizations WHERE organizations.id = invitations.organization_id
                    AND organizations.owner_id = invitations.invited_by)
    AND NOT EXISTS (SELECT 1 FROM organization_members WHERE organization_id = invitations.organization_id
                    AND user_id = invitations.invited_by AND role = 'admin')
    AND NOT EXISTS (SELECT 1 FROM project_members WHERE project_members.project_id = invitations.project_id
                    AND user_id = invitations.invited_by AND role = 'admin')
"""


def upgrade() -> None:
    op.add_column("invitations", sa.Column("mailed_token_hash", sa.String(), nullable=True))
    op.create_index("uq_invitations_mailed_token_hash", "invitations", ["mailed_token_hash"], unique=True)
    op.add_column("mailed_tokens", sa.Column("was_mailed", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column("notifications", sa.Column("topic", sa.String(), nullable=True))
    op.create_index("ix_notifications_topic", "notifications", ["topic"])
    op.add_column("audit_events", sa.Column("user_id", sa.String(), nullable=True))
    op.create_index("ix_audit_events_newest_own", "audit_events", ["user_id", "id"])
    owner = "(SELECT owner_id FROM organizations WHERE organizations.id = audit_events.organization_id)"
    op.execute(
        f"UPDATE audit_events SET user_id = {owner}, organization_id = NULL "  # noqa: S608 - constants
        f"WHERE organization_id IS NOT NULL AND {OWN_EVENTS}"
    )
    op.execute(f"UPDATE invitations SET status = 'cancelled' WHERE {SENDER_MAY_NOT}")  # noqa: S608 - constants


def downgrade() -> None:
    personal = "(SELECT id FROM organizations WHERE owner_id = audit_events.user_id AND kind = 'personal')"
    op.execute(
        f"UPDATE audit_events SET organization_id = {personal} WHERE user_id IS NOT NULL"  # noqa: S608 - constants
    )
    op.drop_index("ix_audit_events_newest_own", table_name="audit_events")
    op.drop_column("audit_events", "user_id")
    op.drop_index("ix_notifications_topic", table_name="notifications")
    op.drop_column("notifications", "topic")
    op.drop_column("mailed_tokens", "was_mailed")
    op.drop_index("uq_invitations_mailed_token_hash", table_name="invitations")
    op.drop_column("invitations", "mailed_token_hash")
