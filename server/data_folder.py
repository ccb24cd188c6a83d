"""Checks the data folder: whether this process may write in it, and whether it is on a network file system."""

import os
import shlex
import tempfile
from pathlib import Path

from server.settings import SettingsError, make_private

MOUNTS = Path("/proc/self/mounts")
NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "beegfs", "ocfs2"}
)


def require_writable(folder: Path) -> None:
    """Create the folder if it is missing, and write a file as a test. Raises SettingsError."""
    try:
        make_private(folder)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0")
    except OSError as error:
        raise SettingsError(refusal(folder, error)) from error


def refusal(folder: Path, error: OSError) -> str:
    """Return one sentence that names the folder, this user's id and what to do."""
    path, user_id = folder.absolute(), os.geteuid()
    sentence = f"cannot write to the data folder {path} as user {user_id}: {error.strerror}."
    if not isinstance(error, PermissionError):
        return f"{sentence} Set SELFMEMORY_DATA_DIR to another folder"
    quoted = shlex.quote(str(path))
    command = f"chown -R {user_id} {quoted}" if os.path.exists(path) else f"install -d -o {user_id} {quoted}"
    return f"{sentence} Run: sudo {command} (or set SELFMEMORY_DATA_DIR to another folder)"


def network_file_system(folder: Path) -> str | None:
    """Return the kind of network file system that holds the folder, or None if it is local or unknown."""
    try:
        mounts = [line.split(" ")[1:3] for line in MOUNTS.read_text("utf-8", "replace").splitlines()]
    except OSError:
        return None
    path = folder.resolve()
    holding = [(len(point), kind) for point, kind in mounts if path.is_relative_to(point.replace("\\040", " "))]
    kind = max(holding, default=(0, ""))[1]
    return kind if kind in NETWORK_FILE_SYSTEMS or kind.startswith("fuse.") else None
