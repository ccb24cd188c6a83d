"""How each assistant is connected to this server. The dashboard and `python -m server connect` show the same text."""
