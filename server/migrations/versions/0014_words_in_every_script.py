"""Words of every script: which tokenizer wrote them and, on Postgres, a stemmer without stop words"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

POSTGRES = """
CREATE TEXT SEARCH DICTIONARY memory_words_stem (TEMPLATE = snowball, Language = porter);
CREATE TEXT SEARCH CONFIGURATION memory_words (COPY = pg_catalog.simple);
ALTER TEXT SEARCH CONFIGURATION memory_words
    ALTER MAPPING FOR asciiword, word, numword WITH memory_words_stem;
"""


def upgrade() -> None:
    op.create_table(
        "word_index_state",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("outdated_below", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_word_index_state")),
    )
    # The words of all existing memories come from an earlier tokenizer. Those of a new database come from this one.
    op.execute(
        "INSERT INTO word_index_state (number, version, outdated_below) "
        "SELECT 1, 15, COALESCE(MAX(number) + 1, 0) FROM memories"
    )
    if op.get_bind().dialect.name == "postgresql":
        for statement in filter(str.strip, POSTGRES.split(";")):
            op.execute(statement)


def downgrade() -> None:
    op.drop_table("word_index_state")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TEXT SEARCH CONFIGURATION memory_words")
        op.execute("DROP TEXT SEARCH DICTIONARY memory_words_stem")
