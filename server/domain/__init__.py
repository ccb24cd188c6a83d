"""The rules, as functions of a database session and a principal. They know no requests and no protocols."""
