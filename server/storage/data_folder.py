"""Checks the data folder: whether this process may use its files, and whether it is on a network file system."""

import errno
import os
import shlex
import tempfile
from pathlib import Path

from server.settings import SECRET_KEY_FILE, SettingsError, make_private

MOUNTS = Path("/proc/self/mounts")
NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "beegfs", "ocfs2"}
)


FULL = (errno.ENOSPC, errno.EDQUOT)
"""A full disk, and a used-up quota."""

NEEDED = {SECRET_KEY_FILE: os.R_OK, "*.lock": os.R_OK | os.W_OK, "chroma": os.W_OK, "chroma/*": os.W_OK}
"""How this process uses the files of the data folder, apart from the database, which explains itself."""


def require_writable(folder: Path) -> None:
    """Create the folder if it is missing, write a file as a test, and check the files that are there. Raises
    SettingsError.
    """
    try:
        make_private(folder)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0")
        _require_usable_files(folder)
    except OSError as error:
        raise SettingsError(refusal(folder, error)) from error


def _require_usable_files(folder: Path) -> None:
    """Raises PermissionError for a file that another user left here, for example a command that root ran."""
    for pattern, access in NEEDED.items():
        for path in folder.glob(pattern):
            if not os.access(path, access, effective_ids=True):
                name, owner = path.relative_to(folder), path.stat().st_uid
                raise PermissionError(errno.EACCES, f"it may not use {name}, which belongs to user {owner}")


def provide_temporary_folder(folder: Path) -> None:
    """Use the data folder for temporary files if this process can write in no other, as in a read-only container."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        tempfile.tempdir = str(folder.absolute())


def refusal(folder: Path, error: OSError) -> str:
    """Return one sentence that names the folder, this user's id and what to do."""
    path, user_id = folder.absolute(), os.geteuid()
    reason = error.strerror
    if path.is_symlink() and not path.exists():
        reason = f"it is a link to {path.readlink()}, which does not exist"
    sentence = f"cannot write to the data folder {path} as user {user_id}: {reason}."
    if error.errno in FULL:
        return f"{sentence} Free some space, or use a larger disk"
    if not isinstance(error, PermissionError):
        return f"{sentence} Set SELFMEMORY_DATA_DIR to another folder"
    quoted = shlex.quote(str(path))
    command = f"chown -R {user_id} {quoted}" if os.path.exists(path) else f"install -d -o {user_id} {quoted}"
    otherwise = "set SELFMEMORY_DATA_DIR to another folder"
    if path.is_mount():
        otherwise = "for a container, on the host with the folder that is mounted there"
    return f"{sentence} Run: sudo {command} (or {otherwise})"


def network_file_system(folder: Path) -> str | None:
    """Return the kind of network file system that holds the folder, or None if it is local or unknown."""
    try:
        mounts = [line.split(" ")[1:3] for line in MOUNTS.read_text("utf-8", "replace").splitlines()]
    except OSError:
        return None
    path = folder.resolve()
    holding = [(len(point), kind) for point, kind in mounts if path.is_relative_to(point.replace("\\040", " "))]
    _, kind = max(reversed(holding), key=lambda mount: mount[0], default=(0, ""))  # the last one hides earlier ones
    return kind if kind in NETWORK_FILE_SYSTEMS or kind.startswith("fuse.") else None
