"""Shows the progress of long work on standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

from server.index.upkeep.progress import Progress


@contextmanager
def progress_bar() -> Iterator[Callable[[Progress], None]]:
    """Yield a function that shows a step in a terminal. When the block ends, the work is shown as done."""
    with tqdm(file=sys.stderr, total=1, unit="", disable=None) as bar:

        def show(progress: Progress) -> None:
            bar.set_description(progress.work, refresh=False)
            bar.total, bar.n = max(progress.whole, 1), progress.done
            bar.refresh()

        yield show
        show(Progress("finished", 1, 1))
