"""A folder for files that all processes of one server map into their memory."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from server.machine.file_locks import try_lock

IN_MEMORY = Path("/dev/shm")  # noqa: S108 - nothing there gets a name that others know
"""A file system in memory. On a full disk, the kernel kills a process that writes to a mapped page without space."""

ENOUGH_BYTES = 32 << 20
PREFIX = "selfmemory-metrics-"

YOUNG_SECONDS = 60.0
"""A younger folder may belong to a server that has not locked it yet."""


@contextlib.contextmanager
def shared_folder() -> Iterator[str]:
    """Create a folder, and delete it at the end. Deletes the folders of servers that were killed, too."""
    parent = IN_MEMORY if _has_room(IN_MEMORY) else Path(tempfile.gettempdir())
    _delete_abandoned(parent)
    folder = tempfile.TemporaryDirectory(prefix=PREFIX, dir=parent, ignore_cleanup_errors=True)
    with folder as name, _opened(name) as descriptor:
        with contextlib.suppress(OSError):  # NFS cannot lock a folder
            try_lock(descriptor)  # systemd's cleaner of old temporary files leaves out what is locked
        yield name


def _has_room(folder: Path) -> bool:
    if not os.access(folder, os.W_OK | os.X_OK):
        return False
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize >= ENOUGH_BYTES


def _delete_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # it belongs to another user, or was just deleted
            if time.time() - folder.stat().st_mtime > YOUNG_SECONDS:
                with _opened(folder) as descriptor:
                    if try_lock(descriptor):
                        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _opened(folder: str | Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
