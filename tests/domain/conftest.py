"""The fixtures of `tests.world`."""

from tests.world import embedder, world

__all__ = ["embedder", "world"]
