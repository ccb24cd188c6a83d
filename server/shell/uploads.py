"""Stores the files that people upload, and the state of each. Each user has a folder, so that users cannot reach
others' files.

The state is in a file next to the upload, so that it survives a restart. Processes on one machine share the folders.
Who works on an upload holds its user's lock, which the kernel releases when the process ends.
"""

import errno
import json
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import IO, NamedTuple

from server.errors import Conflict, NotFound, Unavailable
from server.machine.file_locks import try_lock
from server.settings import make_private

KEPT_SECONDS = 86_400

NAME_LENGTH = 255
"""The longest name that a file system takes. Its ending has to be kept, because it says that a file is Markdown."""

INTERRUPTED = "The import was interrupted. Start it again: what the project already has is skipped."

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_ID = re.compile(r"upl_[0-9a-f]{32}\Z")


class State(StrEnum):
    READING = "reading"
    WAITING = "waiting"
    IMPORTING = "importing"
    COMMITTED = "committed"
    DONE = "done"
    FAILED = "failed"


class UploadRunning(Conflict):
    sentence = "An upload or import of yours is still running. Wait until it is done, and try again."


class DiskFailed(Unavailable):
    sentence = "The server cannot use its disk for this file. Nothing was changed. Tell the server's administrator."


class NoSpace(DiskFailed):
    sentence = "The server has no space left for this file. Nothing was imported. Tell the server's administrator."


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was uploaded into a project. `program` is the one that wrote it, if that is known, `sample` the
    beginnings of its first memories, and `groups` counts its memories by conversation or file. `import_id` is the
    import that was committed.
    """

    id: str
    user_id: str
    project_id: str
    name: str
    state: State = State.READING
    problem: str = ""
    warnings: list[str] = field(default_factory=list)
    groups: dict[str, int] = field(default_factory=dict)
    program: str = ""
    sample: list[str] = field(default_factory=list)
    total: int = 0
    read: int = 0
    stored: int = 0
    expired: int = 0
    import_id: str = ""

    @property
    def is_running(self) -> bool:
        return self.state in (State.READING, State.IMPORTING, State.COMMITTED)


class Work(NamedTuple):
    """An upload and the lock on it. Close the lock when the work ends."""

    upload: Upload
    lock: IO[bytes]


class Uploads:
    """The folder of all uploads. Its methods block."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / "uploads"

    def keep(self, user_id: str, project_id: str, name: str, file: IO[bytes]) -> Work:
        """Copy the file, delete the user's earlier uploads, and lock. Raises UploadRunning, DiskFailed."""
        with translating_disk_failures():
            make_private(self.folder / user_id)
        lock = self._lock(user_id)
        if lock is None:
            raise UploadRunning
        upload = Upload(f"upl_{secrets.token_hex(16)}", user_id, project_id, name[:NAME_LENGTH])
        try:
            for path in (self.folder / user_id).glob("*.json"):
                if earlier := self._read(path):
                    self.remove(earlier)
            with translating_disk_failures(), self.path_of(upload).open("xb") as copy:
                shutil.copyfileobj(file, copy)
            return Work(self.save(upload), lock)
        except DiskFailed:
            lock.close()
            self.remove(upload)
            raise

    def find(self, upload_id: str, user_id: str, project_id: str) -> Upload:
        """Return the user's upload into the project. An interrupted import is offered again. Raises NotFound."""
        path = self.folder / user_id / f"{upload_id}.json"
        upload = self._read(path) if _ID.match(upload_id) else None
        if upload is None or upload.project_id != project_id:
            raise NotFound
        lock = self._lock(user_id) if upload.is_running else None
        if lock is None:
            return upload
        with lock:
            current = self._read(path)  # the work may have ended before the lock was free
            if current is None:
                raise NotFound
            return self._after_interruption(current) if current.is_running else current

    def save(self, upload: Upload, **changes: object) -> Upload:
        """Save the upload with the changes, and return it. Raises DiskFailed."""
        upload = replace(upload, **changes)  # type: ignore[arg-type]  # the callers name fields of Upload
        path = self.path_of(upload).with_suffix(".json")
        with translating_disk_failures():
            new = path.with_suffix(".new")
            new.write_text(json.dumps(asdict(upload)))
            new.replace(path)
        return upload

    def claim(self, upload: Upload) -> Work | None:
        """Lock the upload and mark it as running. Return None if another request was first. Raises DiskFailed."""
        lock = self._lock(upload.user_id)
        if lock is None:
            return None
        with ExitStack() as opened:
            opened.enter_context(lock)
            current = self._read(self.path_of(upload).with_suffix(".json"))
            if current is None or current.state is not State.WAITING:
                return None
            # The state outlives the file by a day, so it must not keep text of memories.
            begun = self.save(current, state=State.IMPORTING, problem="", read=0, stored=0, expired=0, sample=[])
            opened.pop_all()
        return Work(begun, lock)

    def remove_file(self, upload: Upload) -> None:
        """Remove the file. Its state stays for a day. Raises DiskFailed."""
        with translating_disk_failures():
            self.path_of(upload).unlink(missing_ok=True)

    def remove(self, upload: Upload) -> None:
        """Remove the file and its state. Raises DiskFailed."""
        with translating_disk_failures():
            for path in self.path_of(upload).parent.glob(f"{upload.id}.*"):
                path.unlink(missing_ok=True)

    def remove_old(self) -> None:
        """Remove uploads that have not changed for a day. Locks stay: a process may hold one for longer."""
        for path in filter(Path.is_file, self.folder.glob("*/upl_*")):  # some systems put folders everywhere
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > KEPT_SECONDS and not self._is_in_use(path):
                    path.unlink()

    def path_of(self, upload: Upload) -> Path:
        return self.folder / upload.user_id / f"{upload.id}.file"

    def _is_in_use(self, path: Path) -> bool:
        about = path.with_suffix(".json")
        return about.exists() and time.time() - about.stat().st_mtime < KEPT_SECONDS

    def _lock(self, user_id: str) -> IO[bytes] | None:
        with translating_disk_failures():
            return open_lock(self.folder / user_id / "lock")

    def _read(self, path: Path) -> Upload | None:
        try:
            upload = Upload(**json.loads(path.read_text()))
            return replace(upload, state=State(upload.state))
        except (OSError, ValueError, TypeError):
            return None

    def _after_interruption(self, upload: Upload) -> Upload:
        """Return the upload on which no process works any more. Housekeeping publishes a committed import."""
        if upload.state is State.IMPORTING:
            return self.save(upload, state=State.WAITING, problem=INTERRUPTED)
        if upload.state is State.READING:
            upload = self.save(upload, state=State.FAILED, problem="Reading the file was interrupted.")
        self.remove_file(upload)
        return upload


def open_lock(path: Path) -> IO[bytes] | None:
    """Open and lock the file. Return None if another process has locked it."""
    lock = path.open("wb")
    if try_lock(lock):
        return lock
    lock.close()
    return None


@contextmanager
def translating_disk_failures() -> Iterator[None]:
    """Raise NoSpace when the disk or a quota is full, and DiskFailed when the folder cannot be used."""
    try:
        yield
    except OSError as error:
        raise (NoSpace if error.errno in FULL else DiskFailed) from error
