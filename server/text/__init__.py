"""Text: Unicode, JSON, spelling, and what is wrong with a value."""
