"""Memories: what is stored, how it is searched, and how it moves in and out."""
