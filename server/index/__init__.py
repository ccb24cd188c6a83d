"""The index: vectors, words and Chroma. Derived from SQL, rebuildable, never asked who may read what."""

from typing import TypeAlias

from server.index.memory_index import MemoryIndex
from server.index.prepared import PreparedIndex

__all__ = ["Index", "MemoryIndex", "PreparedIndex"]

Index: TypeAlias = MemoryIndex | PreparedIndex
"""What operations ask: the index itself, which blocks while the model works, or as a call uses it."""
