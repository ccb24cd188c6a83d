"""What can go wrong with the index; never an outage, since SQL can be scanned instead."""


class ChromaFailed(Exception):
    """Chroma did not do it; the message is the kind of failure."""
