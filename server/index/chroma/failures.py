"""The failure of Chroma. Searches still work, because they can scan SQL instead."""


class ChromaFailed(Exception):
    """The message is the kind of failure. `damage` is true if Chroma's data may be broken, not just unreachable.

    `collection` is the affected collection, if there is one.
    """

    def __init__(self, kind: str, *, damage: bool = False, collection: str | None = None) -> None:
        super().__init__(kind)
        self.damage = damage
        self.collection = collection
