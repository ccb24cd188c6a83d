"""Brings a collection up to the memories as they are now."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from server.index.chroma.collections import Collection
from server.index.exact.matrix import Matrix
from server.index.upkeep import rebuild
from server.index.upkeep.candidates import Task

if TYPE_CHECKING:
    from server.index.chroma.client import Chroma

DELETED_PIECES = 256
"""Pieces that are deleted at a time."""


def apply(chroma: "Chroma", collection: Collection, matrix: Matrix, tasks: Sequence[Task]) -> None:
    """Write the vectors of `matrix`, and delete the pieces that its memories had and have no more."""
    sizes = dict(zip(matrix.numbers.tolist(), matrix.sizes.tolist(), strict=True))
    gone = {  # two changes of one memory may name the same piece, and Chroma refuses a repeated id
        (task.memory_number, position)
        for task in tasks
        for position in range(sizes.get(task.memory_number, 0), task.piece_count)
    }
    removed = sorted(gone)
    present = [(number, position) for number in matrix.numbers.tolist() for position in range(sizes[number])]
    vectors = collection.center.subtract_from(matrix.vectors)
    for start in range(0, len(removed), DELETED_PIECES):
        chroma.delete_pieces(collection.name, removed[start : start + DELETED_PIECES])
    for start in range(0, len(present), rebuild.CHROMA_BATCH):
        end = start + rebuild.CHROMA_BATCH
        chroma.upsert(collection.name, present[start:end], vectors[start:end])
        time.sleep(0)  # lets a waiting thread take the GIL
