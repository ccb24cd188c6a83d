"""People: accounts, browser sessions, passwords and mailed links."""
