"""The database, SQLite or Postgres, and the folder of the data."""
