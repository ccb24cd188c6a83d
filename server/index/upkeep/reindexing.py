"""Rebuilds everything that is derived from the memories, for the command `reindex`."""

import time
from collections.abc import Callable

from server.index.upkeep import rebuild, rewriting
from server.index.upkeep.progress import Progress
from server.index.upkeep.worker import Worker
from server.storage.database import Database

REPORT_EVERY_SECONDS = 0.2


def reindex(database: Database, worker: Worker, report: Callable[[Progress], None]) -> None:
    """Rebuild the words and mark all collections for rebuilding, then report until they are built.

    If a running server owns the index, that server builds the collections.
    """
    rebuild.recount(database)
    for progress in rewriting.rewrite_all(database):
        report(progress)
    rebuild.forget_collections(database)
    worker.check_soon()
    total = missing = worker.count_missing()
    while missing and worker.is_alive():
        report(worker.progress or Progress("building collections", total - missing, total))
        time.sleep(REPORT_EVERY_SECONDS)
        missing = worker.count_missing()
