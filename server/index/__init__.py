"""The index: vectors, words and Chroma. Derived from SQL, rebuildable, never asked who may read what."""

from server.index.memory_index import MemoryIndex

__all__ = ["MemoryIndex"]
