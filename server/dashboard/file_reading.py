"""Reads an uploaded file through, for a moment at a time, so that the files and pages of others have their turns."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeVar

from server import waits
from server.domain.memory.excerpts import title_above
from server.domain.memory.exchange.entries import Warnings
from server.domain.memory.exchange.lines import Line
from server.domain.memory.exchange.sources import checked, checked_line, read_path
from server.errors import Invalid
from server.shell.runtime import Call
from server.shell.uploads import State, Upload, Uploads

T = TypeVar("T")

TURN_SECONDS = 1_800
"""How long a file waits for those of others. An import is never refused because of load."""

PART_SECONDS = 0.25
"""How long a file is read before another one has its turn."""

MOST_GROUPS = 1_000
"""How many conversations or files the page offers to leave out."""

MOST_SAMPLES = 3
SAMPLE_LENGTH = 300
"""How many of its first memories the page of a file shows, and how many characters of each."""


async def read_through(call: Call, store: Uploads, upload: Upload) -> None:
    """Check the whole file and count its memories. Raises Invalid."""
    survey = Survey(store, upload)
    while not await in_turn(call, survey.read_on):
        pass


async def in_turn(call: Call, work: Callable[..., T], *args: object) -> T:
    """Read a part of a file on a worker thread, when it is the caller's turn."""
    with waits.renewed(TURN_SECONDS):
        return await call.runtime.pools.files.run(call.caller, work, *args)


def lines(store: Uploads, upload: Upload, left_out: frozenset[str]) -> Iterator[Line]:
    """Yield the memories of the file. Raises Invalid."""
    return checked(read_path(store.path_of(upload), Warnings(), name=upload.name), left_out)


class Survey:
    """What a file holds, as far as it has been read."""

    def __init__(self, store: Uploads, upload: Upload) -> None:
        self.store, self.saved = store, upload
        self.warnings = Warnings()
        self.entries = read_path(store.path_of(upload), self.warnings, name=upload.name)
        self.groups: Counter[str] = Counter()
        self.sample: list[str] = []
        self.total = 0

    def read_on(self) -> bool:
        """Read for `PART_SECONDS`. Return whether the file has ended. Raises Invalid."""
        end = time.monotonic() + PART_SECONDS
        for entry in self.entries:
            self._count(checked_line(entry), entry.group)
            if time.monotonic() > end:
                self.saved = self.store.save(self.saved, total=self.total)
                return False
        if self.total == 0:
            raise Invalid("This file contains no memories.")
        self.store.save(
            self.saved,
            state=State.WAITING,
            total=self.total,
            groups=dict(self.groups),
            sample=self.sample,
            warnings=self.warnings.sentences(),
        )
        return True

    def _count(self, line: Line, group: str) -> None:
        self.total += 1
        if self.total == 1 and line.source and not line.source.kind:
            self.saved = self.store.save(self.saved, program=line.source.name)
        if self.total <= MOST_SAMPLES:
            title = title_above(line.content, line.metadata)
            self.sample.append(f"{title}\n{line.content}".lstrip("\n")[:SAMPLE_LENGTH])
        if group and (group in self.groups or len(self.groups) < MOST_GROUPS):
            self.groups[group] += 1
