"""The failure of Chroma. It is never an outage, since a search can scan SQL instead."""


class ChromaFailed(Exception):
    """The message is the kind of failure. `damage` is true if Chroma's data may be broken, not just unreachable."""

    def __init__(self, kind: str, *, damage: bool = False) -> None:
        super().__init__(kind)
        self.damage = damage
