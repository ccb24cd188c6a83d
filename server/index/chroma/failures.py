"""What can go wrong with the index; never an outage, since SQL can be scanned instead."""


class ChromaFailed(Exception):
    """Chroma did not do it; the message is the kind of failure. Without `damage` it did not answer, that is all."""

    def __init__(self, kind: str, *, damage: bool = False) -> None:
        super().__init__(kind)
        self.damage = damage
