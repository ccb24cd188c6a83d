"""Invitations by their organization and project, whose pages and deletions read them"""

from alembic import op

revision = "0029"
down_revision = "0028"

INDEXES = (("invitations", "organization_id"), ("invitation_projects", "project_id"))


def upgrade() -> None:
    for table, column in INDEXES:
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column])


def downgrade() -> None:
    for table, column in reversed(INDEXES):
        op.drop_index(op.f(f"ix_{table}_{column}"), table)
