"""How to connect each assistant to this server. The dashboard and `python -m server connect` show the same text."""
