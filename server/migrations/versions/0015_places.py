"""The place of each memory in its conversation, and which pieces are short questions"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_HOUR_LATER = {
    "sqlite": "(julianday(created_at) - julianday(earlier)) * 86400 > 3600",
    "postgresql": "created_at - earlier > INTERVAL '1 hour'",
}
_PLACES = """
WITH followed AS (
    SELECT number, project_id, user_id, id, created_at,
        lag(created_at) OVER (PARTITION BY project_id, user_id ORDER BY id) AS earlier
    FROM memories
), numbered AS (
    SELECT number, project_id, user_id, id,
        sum(CASE WHEN earlier IS NULL OR {hour_later} THEN 1 ELSE 0 END)
            OVER (PARTITION BY project_id, user_id ORDER BY id) AS conversation
    FROM followed
), placed AS (
    SELECT number,
        first_value(number) OVER conversation * 1048576 + row_number() OVER conversation - 1 AS place
    FROM numbered
    WINDOW conversation AS (PARTITION BY project_id, user_id, conversation ORDER BY id)
)
UPDATE memories SET place = placed.place FROM placed WHERE placed.number = memories.number
"""
_QUESTIONS = """
UPDATE pieces SET is_question = true WHERE "end" - start <= 80 AND EXISTS (
    SELECT 1 FROM memories WHERE number = pieces.memory_number AND length(content) <= 100000
    AND substr(content, "end", 1) IN ('?', '\uff1f', '\u061f', '\u037e'))
"""
"""Examining longer texts would take too long. Their pieces are marked when the memory changes."""


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    op.add_column("memories", sa.Column("place", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("pieces", sa.Column("is_question", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute(_PLACES.format(hour_later=_HOUR_LATER[dialect]))
    op.execute(_QUESTIONS)


def downgrade() -> None:
    op.drop_column("pieces", "is_question")
    op.drop_column("memories", "place")
