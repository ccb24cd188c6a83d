"""The index: vectors, words and Chroma. It is derived from SQL, can be rebuilt, and does not check permissions."""

from typing import TypeAlias

from server.index.memory_index import MemoryIndex
from server.index.prepared import PreparedIndex

__all__ = ["Index", "MemoryIndex", "PreparedIndex"]

Index: TypeAlias = MemoryIndex | PreparedIndex
"""The index for operations: `MemoryIndex`, which blocks while the model works, or `PreparedIndex`, which does not."""
