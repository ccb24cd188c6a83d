"""The word index: tokenizer, storage and ranking, on SQLite FTS5 and Postgres tsvector."""
