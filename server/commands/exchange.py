"""`export` and `import`: a project's memories as JSON lines."""

import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator

from tqdm import tqdm

from server.app import default_embedder
from server.commands.output import print_message, write_result
from server.database import migrated
from server.domain.memory.exchange import record_export, write_export
from server.domain.memory.imports import import_memories
from server.errors import Invalid
from server.index import MemoryIndex
from server.models import Project
from server.settings import Settings


def export(settings: Settings, args: Namespace) -> None:
    """Write one JSON line a memory, oldest first. Raises NotFound."""
    with tempfile.TemporaryFile() as file:  # so that a slow reader of the output keeps no snapshot of the database
        with migrated(settings.database_url.get_secret_value()) as database:
            with database.read() as session:
                project = session.get(Project, args.project)
                total = project.memory_count if project else None
                with tqdm(total=total, unit=" memories", file=sys.stderr) as bar:
                    count = write_export(session, args.project, file, bar.update)
            with database.write() as session:
                record_export(session, None, args.project, count)
        file.seek(0)
        write_result(file)


def import_(settings: Settings, args: Namespace) -> None:
    """Import all lines or none. Raises NotFound, QuotaExceeded, Invalid with the number of the bad line."""
    with migrated(settings.database_url.get_secret_value(), quota=settings.quota) as database:
        index = MemoryIndex(settings, database, default_embedder(settings))
        try:
            with tqdm(unit=" memories", file=sys.stderr) as bar:
                count = import_memories(database, args.project, _lines(), index, bar.update)
        finally:
            index.close()
    print_message(f"Imported {count} memories.")


def _lines() -> Iterator[str]:
    """Yield the lines of standard input. Raises Invalid with the number of a line that is not UTF-8."""
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError:
            raise Invalid("must be UTF-8 text.", field=f"line {number}") from None
