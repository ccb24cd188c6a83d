"""Memories: storing, searching, filtering, exporting and importing them."""
