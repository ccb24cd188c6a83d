"""What the index reports about itself in one process."""

from dataclasses import dataclass

from server.index.upkeep.progress import Progress


@dataclass(frozen=True, slots=True)
class Health:
    """`degraded` is the reason why searches are slow, or None."""

    degraded: str | None
    embedding_ok: bool


@dataclass(frozen=True, slots=True)
class IndexState:
    """What the index does in this process, from memory alone. `progress` is the progress of its background work.
    `shards` is how many of the `leases.SHARDS` parts it owns.
    """

    has_model: bool
    waiting_texts: int
    waiting_questions: int
    shards: int
    progress: Progress | None
