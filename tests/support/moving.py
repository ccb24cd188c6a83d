"""Files that are brought in."""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from server.domain.memory.exchange.entries import Warnings
from server.domain.memory.exchange.lines import Line
from server.domain.memory.exchange.sources import checked, read_path


def read_lines(lines: Iterable[str]) -> Iterator[Line]:
    """Yield what an import reads of these lines of a file."""
    with tempfile.NamedTemporaryFile() as file:
        file.writelines(f"{line}\n".encode() for line in lines)
        file.flush()
        yield from checked(read_path(Path(file.name), Warnings()))
