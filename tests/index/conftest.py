"""Make the fixtures of `tests.support.world` available to the tests of the index."""

from tests.support.world import embedder, world

__all__ = ["embedder", "world"]
