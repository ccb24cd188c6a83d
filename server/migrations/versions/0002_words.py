"""the word index: FTS5 on SQLite, tsvector on Postgres; `server.index.words` writes and searches it"""

from alembic import op

revision = "0002"
down_revision = "0001"

SQLITE = """
CREATE VIRTUAL TABLE memory_words USING fts5(
    body, context, dates, tokenize = "porter unicode61 remove_diacritics 2 categories 'L* M* N* Co'"
)
"""
POSTGRES = """
CREATE EXTENSION IF NOT EXISTS btree_gin;
CREATE TABLE memory_words (
    memory_number BIGINT PRIMARY KEY REFERENCES memories (number) ON DELETE CASCADE,
    project_id VARCHAR NOT NULL,
    words TSVECTOR NOT NULL
);
CREATE INDEX ix_memory_words_project ON memory_words USING gin (project_id, words);
"""


def upgrade() -> None:
    statements = SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRES
    for statement in filter(str.strip, statements.split(";")):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE memory_words")
