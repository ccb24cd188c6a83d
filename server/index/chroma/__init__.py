"""Chroma: its client, the projects' collections and its failures."""
