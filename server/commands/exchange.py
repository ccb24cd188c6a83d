"""`export` and `import`: a project's memories as a file."""

import contextlib
import logging
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NoReturn

from tqdm import tqdm

from server.commands.existing import existing, find_project
from server.commands.output import print_message, write_result
from server.domain.memory import activity
from server.domain.memory.duplicates import OnDuplicate
from server.domain.memory.exchange.entries import STANDARD_INPUT, Warnings
from server.domain.memory.exchange.export import (
    ExportFormat,
    record_export,
    require_existing_project,
    write_export,
)
from server.domain.memory.exchange.sources import Format, checked, read_path
from server.domain.memory.imports import Imported, ImportEnded, finish_project, import_memories
from server.errors import Invalid, QuotaExceeded
from server.index import MemoryIndex
from server.index.model import late
from server.index.model.embeddings import open_late
from server.plurals import count
from server.settings import Settings

CHUNK_BYTES = 1_000_000
DOCS = "docs/moving.md"


def export(settings: Settings, args: Namespace) -> None:
    """Write the memories in the requested format, oldest first. Raises NotFound, Conflict."""
    with tempfile.TemporaryFile() as file:  # so that a slow reader does not hold a database snapshot
        with existing(settings) as database:
            project_id = find_project(database, args.project)
            with database.write() as session:
                finish_project(session, project_id)  # perhaps no server runs that would do it
            with database.read() as session:
                project = require_existing_project(session, project_id)
                with _progress_bar(project.memory_count) as bar:
                    exported = write_export(session, project_id, file, bar.update, ExportFormat(args.format))
            with database.write() as session:
                record_export(session, None, project_id, exported)
                activity.store_noted(session, settings.activity_days)
        file.seek(0)
        write_result(file)
    print_message(f"Exported {count(exported, 'memory', 'memories')}.")


def import_(settings: Settings, args: Namespace) -> None:
    """Import the whole file, or nothing if it has an error. Raises NotFound, Conflict, QuotaExceeded, and Invalid,
    which says where the file cannot be read.
    """
    warnings = Warnings()
    with _source(args.path) as (path, name), existing(settings) as database:
        project_id = find_project(database, args.project)
        file_format = Format.JSON if args.format == ExportFormat.JSONL else Format(args.format)
        lines = checked(read_path(path, warnings, file_format, name))
        logging.getLogger(late.__name__).setLevel(logging.WARNING)  # otherwise it reports that the model is ready
        index = MemoryIndex(settings, database, open_late(settings))
        try:
            with _progress_bar() as bar:
                imported = import_memories(
                    database,
                    project_id,
                    lines,
                    index,
                    bar.update,
                    OnDuplicate(args.on_duplicate),
                    settings.activity_days,
                )
        except (ImportEnded, Invalid, QuotaExceeded) as error:
            docs = f" See {DOCS}." if isinstance(error, Invalid) and error.field else ""
            raise Invalid(f"Nothing was imported. {error.detail}{docs}") from None
        finally:
            index.close()
    for sentence in warnings.sentences():
        print_message(f"warning: {sentence}")
    print_message(_summary(imported))


def _summary(imported: Imported) -> str:
    if not any(imported):
        return "There was nothing to import."
    skipped = f"Skipped {imported.known:,} that already existed and {imported.expired:,} that had expired."
    return f"Imported {count(imported.stored, 'memory', 'memories')}. {skipped}"


def _progress_bar(total: int | None = None) -> "tqdm[NoReturn]":
    """Return a bar of memories on standard error, which shows nothing if that is not a terminal."""
    return tqdm(total=total, unit=" memories", file=sys.stderr, disable=None)


@contextlib.contextmanager
def _source(file_name: str | None) -> Iterator[tuple[Path, str]]:
    """Yield the path and its name, or a file with all of standard input or of a pipe, which is read before the database
    is opened.

    Raises Invalid if there is no such file.
    """
    if file_name not in (None, "-"):
        path = Path(str(file_name))
        if not path.exists():
            raise Invalid(f"There is no file or folder {path}.")
        if path.is_file() or path.is_dir():
            yield path, path.name
        else:
            with path.open("rb") as pipe, _copy_of(pipe) as copy:
                yield copy, STANDARD_INPUT
        return
    if sys.stdin.isatty():
        print_message("Reading from the terminal until Ctrl-D. To import a file, name it.")
    with _copy_of(sys.stdin.buffer) as copy:
        yield copy, STANDARD_INPUT


@contextlib.contextmanager
def _copy_of(stream: IO[bytes]) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile() as file:
        with tqdm(unit="B", unit_scale=True, desc="Reading", file=sys.stderr, disable=None) as bar:
            while chunk := stream.read(CHUNK_BYTES):
                file.write(chunk)
                bar.update(len(chunk))
        file.flush()
        yield Path(file.name)
