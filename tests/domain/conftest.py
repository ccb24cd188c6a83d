"""The fixtures of `tests.support.world`."""

from tests.support.world import embedder, world

__all__ = ["embedder", "world"]
