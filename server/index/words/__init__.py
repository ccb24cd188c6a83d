"""The word index: `word_index` writes it, `word_search` searches it, on SQLite (`fts5`) and Postgres (`tsvector`)."""
