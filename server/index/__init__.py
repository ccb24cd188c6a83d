"""The index: vectors, words and Chroma. Derived from SQL, rebuildable, never asked who may read what."""

from server.index.vectors import MemoryIndex

__all__ = ["MemoryIndex"]
