"""The word index: `word_index` keeps it, `word_search` searches it, on SQLite (`fts5`) and Postgres (`tsvector`)."""
