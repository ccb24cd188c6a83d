"""Stores the files that people upload, and the state of each. Each user has a folder, so that users cannot reach
others' files.

The state is in a file next to the upload, so that it survives a restart. Processes on one machine share the folders.
"""

import errno
import json
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import IO

from server.errors import Conflict, NotFound, Unavailable
from server.settings import make_private

KEPT_SECONDS = 86_400
INTERRUPTED_SECONDS = 300
"""Work that reports no progress for this long was interrupted, for example by a restart."""

NAME_LENGTH = 255
"""The longest name that a file system takes. Its ending has to be kept, because it says that a file is Markdown."""

_ID = re.compile(r"upl_[0-9a-f]{32}\Z")


class State(StrEnum):
    READING = "reading"
    WAITING = "waiting"
    IMPORTING = "importing"
    DONE = "done"
    FAILED = "failed"


class UploadRunning(Conflict):
    sentence = "An upload or import of yours is still running. Wait until it is done, and try again."


class NoSpace(Unavailable):
    sentence = "The server has no space left for this file. Nothing was imported. Tell the server's administrator."


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was uploaded into a project. `program` is the one that wrote it, if that is known, `sample` the
    beginnings of its first memories, and `groups` counts its memories by conversation or file.
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

    @property
    def is_running(self) -> bool:
        return self.state in (State.READING, State.IMPORTING)


class Uploads:
    """The folder of all uploads. Its methods block."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / "uploads"

    def keep(self, user_id: str, project_id: str, name: str, file: IO[bytes]) -> Upload:
        """Copy the file, and delete the user's earlier uploads. Raises UploadRunning, NoSpace."""
        folder = self.folder / user_id
        make_private(folder)
        for path in folder.glob("*.json"):
            earlier = self._read(path)
            if earlier and earlier.is_running:
                raise UploadRunning
            if earlier:
                self.remove(earlier)
        upload = Upload(f"upl_{secrets.token_hex(16)}", user_id, project_id, name[:NAME_LENGTH])
        with translating_full_disk():
            try:
                with self.path_of(upload).open("xb") as copy:
                    shutil.copyfileobj(file, copy)
                return self.save(upload)
            except OSError:
                self.remove(upload)
                raise

    def find(self, upload_id: str, user_id: str, project_id: str) -> Upload:
        """Return the user's upload into the project. An interrupted import is offered again. Raises NotFound."""
        path = self.folder / user_id / f"{upload_id}.json"
        upload = self._read(path) if _ID.match(upload_id) else None
        if upload is None or upload.project_id != project_id:
            raise NotFound
        return upload

    def save(self, upload: Upload, **changes: object) -> Upload:
        """Save the upload with the changes, and return it. Raises NoSpace."""
        upload = replace(upload, **changes)  # type: ignore[arg-type]  # the callers name fields of Upload
        path = self.path_of(upload).with_suffix(".json")
        with translating_full_disk():
            new = path.with_suffix(".new")
            new.write_text(json.dumps(asdict(upload)))
            new.replace(path)
        return upload

    def claim(self, upload: Upload) -> Upload | None:
        """Mark the upload as running and return it, or None if another request was first."""
        claimed = self.path_of(upload).with_suffix(".claimed")
        try:
            claimed.touch(exist_ok=False)
        except FileExistsError:
            return None
        # The state outlives the file by a day, so it must not keep text of memories.
        return self.save(upload, state=State.IMPORTING, problem="", read=0, stored=0, sample=[])

    def remove_file(self, upload: Upload) -> None:
        """Remove the file. Its state stays for a day."""
        self.path_of(upload).unlink(missing_ok=True)

    def remove(self, upload: Upload) -> None:
        for path in self.path_of(upload).parent.glob(f"{upload.id}.*"):
            path.unlink(missing_ok=True)

    def remove_old(self) -> None:
        """Remove uploads that have not changed for a day."""
        for path in filter(Path.is_file, self.folder.glob("*/*")):  # some systems put folders everywhere
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > KEPT_SECONDS and not self._is_in_use(path):
                    path.unlink()

    def path_of(self, upload: Upload) -> Path:
        return self.folder / upload.user_id / f"{upload.id}.file"

    def _is_in_use(self, path: Path) -> bool:
        about = path.with_suffix(".json")
        return about.exists() and time.time() - about.stat().st_mtime < KEPT_SECONDS

    def _read(self, path: Path) -> Upload | None:
        try:
            upload = Upload(**json.loads(path.read_text()))
            age = time.time() - path.stat().st_mtime
        except (OSError, ValueError, TypeError):
            return None
        upload = replace(upload, state=State(upload.state))
        if not upload.is_running or age < INTERRUPTED_SECONDS:
            return upload
        path.with_suffix(".claimed").unlink(missing_ok=True)
        return self.save(upload, state=State.WAITING, problem="The import was interrupted. Start it again.")


@contextmanager
def translating_full_disk() -> Iterator[None]:
    """Raise NoSpace when the disk or a quota is full."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise NoSpace from None
        raise
