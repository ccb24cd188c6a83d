"""The rules, as functions of a database session and a principal. They do not depend on requests or protocols."""
