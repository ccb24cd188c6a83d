"""What many tests find in their database: created once by our own operations, then copied with the database."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

from sqlmodel import Session

from server.storage.database import Database

CREATORS: dict[str, Callable[[Session], Any]] = {}
"""What creates that which a fixture of this name finds."""


def fill(url: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Create what the fixtures find, and return it by their names."""
    with closing(Database(url, connections=1)) as database, database.write() as session:
        return {name: CREATORS[name](session) for name in names}
